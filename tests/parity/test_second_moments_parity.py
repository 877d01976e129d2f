"""Second moments against the ROME release, whose texts they are gathered from here."""

from collections.abc import Callable
from pathlib import Path

import torch

from lib.methods.locating.second_moments import load_moment
from lib.models.architecture import architecture
from tests.helpers.models import golden_model
from tests.parity.locating import relative
from tests.parity.reference import document, tensors

LAYERS = 4


def test_every_layer_has_the_diagonal_rows_and_eigenvalues_of_the_released_code(family: str, statistics: Path) -> None:
    reference = tensors("second_moments", family)
    arch = architecture(golden_model(family)[0])
    for layer in range(LAYERS):
        moment = load_moment(statistics, arch.mlp_out_of(layer)).moment
        rows = reference[f"rows_layer{layer}"]
        assert relative(moment.diagonal(), reference[f"diagonal_layer{layer}"]) < 1e-5
        assert relative(moment[:: len(moment) // len(rows)], rows) < 1e-5
        assert relative(torch.linalg.eigvalsh(moment.double()), reference[f"eigenvalues_layer{layer}"]) < 1e-5
        assert torch.equal(moment, moment.T)


def test_a_moment_as_a_whole_equals_the_released_codes(statistics_of: Callable[[str], Path]) -> None:
    triangle = tensors("second_moments", "llama")["triangle_layer0"]
    path = architecture(golden_model("llama")[0]).mlp_out_of(0)
    moment = load_moment(statistics_of("llama"), path).moment
    assert relative(moment[tuple(torch.triu_indices(*moment.shape))], triangle) < 1e-5


def test_the_mean_is_over_as_many_tokens(family: str, statistics: Path) -> None:
    path = architecture(golden_model(family)[0]).mlp_out_of(0)
    assert load_moment(statistics, path).count == document("token_counts")[family]
