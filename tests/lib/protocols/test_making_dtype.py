"""Editors that read or write weights work in float32, whatever the model's preset says; those beside them need not."""

import pytest
import torch

from lib.editors import names
from lib.protocols.inputs import making_dtype


@pytest.mark.parametrize("name", names())
def test_all_but_lora_ike_and_none_work_in_float32(name: str) -> None:
    assert making_dtype(name) == (None if name in ("lora", "ike", "none", "rag") else torch.float32)
