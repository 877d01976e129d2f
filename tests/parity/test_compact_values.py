"""The compact values of tests/golden are those of the folder with all reference values; collected where it is there."""

import pytest
import torch

from tests.conftest import reference_folder
from tests.parity.compact import TENSORS
from tests.parity.compact_documents import DOCUMENTS
from tests.parity.reference import document, product, tensors


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_the_folders(name: str) -> None:
    assert document(name) == DOCUMENTS[name](reference_folder())


@pytest.mark.parametrize("name", TENSORS)
def test_arrays_are_the_folders(name: str) -> None:
    stored, computed = tensors(name), TENSORS[name](reference_folder())
    assert stored.keys() == computed.keys()
    for key, value in computed.items():
        if key.endswith("/left"):  # factors are made anew, and each is known up to a rotation
            matrix = key.removesuffix("/left")
            torch.testing.assert_close(product(stored, matrix), product(computed, matrix), atol=1e-5, rtol=1e-5)
        elif "/basis_" in key:
            torch.testing.assert_close(stored[key] @ stored[key].T, value @ value.T, atol=1e-5, rtol=0)
        elif not key.endswith("/right"):
            assert torch.equal(stored[key], value), key
