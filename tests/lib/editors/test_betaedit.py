"""Editor betaedit: its equations on small matrices, and what a sequence keeps, beside what test_contract.py says."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lib.editors import alphaedit, betaedit
from lib.edits.apply import applied
from lib.edits.edit import Edit
from lib.methods.context import Context
from lib.methods.locating.layered import alphaedit_keys, null_space
from lib.methods.locating.second_moments import load_moment, save_moment, second_moments
from lib.models.architecture import architecture
from tests.helpers.baselines import REQUESTS, context, settings
from tests.helpers.contract import QUICK
from tests.helpers.models import byte_tokenizer, tiny_model
from tests.helpers.updates import dense

TEXTS = [f"Text number {number} is about {'many things and ' * (number % 5)}rain." for number in range(60)]
THRESHOLD = 1e-3
GENERATOR = torch.Generator().manual_seed(0)


def how(**changed: Any) -> Any:
    return settings(betaedit, "betaedit", **QUICK["betaedit"] | {"threshold": THRESHOLD} | changed)


def products(n: int) -> torch.Tensor:
    """K K^T of n drawn keys of size 6."""
    keys = torch.randn(6, n, generator=GENERATOR, dtype=torch.float64)
    return keys @ keys.T


@pytest.fixture
def moments(tmp_path: Path) -> Context:
    """A context with the second moments of a tiny model."""
    model = tiny_model("llama")
    paths = [architecture(model).mlp_out_of(layer) for layer in (0, 1)]
    stored = second_moments(model, byte_tokenizer(), TEXTS, paths, 1024, tmp_path, lambda parts: parts)
    for path, moment in stored.items():
        save_moment(tmp_path, path, moment)
    return replace(context(), statistics=tmp_path)


def test_the_adjusted_keys_solve_the_papers_problem() -> None:
    """The gradient of |R - D K|^2 + |D Kp|^2 + leakage tr(D C D^T) + ridge |D|^2 over D P is 0 at D = R A^T."""
    moment, earlier = products(4), products(2)
    keys = torch.randn(6, 2, generator=GENERATOR, dtype=torch.float64)
    residual = torch.randn(3, 2, generator=GENERATOR, dtype=torch.float64)
    projection = null_space(moment, 0.5)
    adjusted = alphaedit_keys(projection, keys, earlier + 5.0 * moment, 0.25)
    free = torch.zeros(3, 6, dtype=torch.float64).add(residual @ adjusted.T).requires_grad_()
    delta = free @ projection
    loss = (
        (residual - delta @ keys).square().sum()
        + torch.einsum("ai,ij,aj->", delta, earlier + 5.0 * moment, delta)
        + 0.25 * delta.square().sum()
    )
    (gradient,) = torch.autograd.grad(loss, [free])
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-9, rtol=0)
    torch.testing.assert_close(projection @ adjusted, adjusted)


def test_what_is_to_stay_weighs_the_mean_of_the_edits_keys_once_and_the_moment_leakage_times() -> None:
    moment, earlier = products(4), products(2)
    expected = (earlier / 10 + 3.0 * moment) / 4.0
    torch.testing.assert_close(betaedit.protected(moment, earlier, 10, 3.0), expected)


def test_one_batch_is_alphaedits_with_the_leak_among_the_keys_to_keep(moments: Context) -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    arch, values = architecture(model), how(leakage=2.0)
    own = betaedit.edit(model, tokenizer, REQUESTS, values, moments)
    state = {
        arch.mlp_out_of(layer): 2.0 * load_moment(moments.statistics, arch.mlp_out_of(layer)).moment for layer in (0, 1)
    }
    same = settings(alphaedit, "alphaedit", **QUICK["alphaedit"] | {"threshold": THRESHOLD, "ridge": values.ridge})
    expected = alphaedit.edit(model, tokenizer, REQUESTS, same, replace(moments, state=state))
    for path, update in expected.updates.items():
        torch.testing.assert_close(dense(own.updates[path]), dense(update), atol=1e-5, rtol=1e-3)


def test_a_sequence_adds_up_keys_and_computes_the_projection_anew_when_it_is_due(moments: Context) -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    path = architecture(model).mlp_out_of(0)
    values = how(refresh=2, leakage=0.01)

    def after(first: Edit, index: int) -> Edit:
        with applied(model, first):
            return betaedit.edit(model, tokenizer, [REQUESTS[index]], values, replace(moments, state=first.state))

    first = betaedit.edit(model, tokenizer, [REQUESTS[0]], values, moments)
    second = after(first, 1)
    third = after(second, 2)
    assert [edit.state["edits"].tolist() for edit in (first, second, third)] == [[1, 0], [2, 0], [3, 2]]
    assert f"{path}/null_space" not in second.state
    moment = load_moment(moments.statistics, path).moment.double()
    expected = null_space(betaedit.protected(moment, second.state[path].double(), 2, 0.01), THRESHOLD)
    torch.testing.assert_close(third.state[f"{path}/null_space"].double(), expected, atol=1e-5, rtol=0)
    gained = (third.state[path] - second.state[path]).double()
    assert torch.linalg.matrix_rank(gained, rtol=1e-4) == 1
    assert torch.equal(after(third, 0).state[f"{path}/null_space"], third.state[f"{path}/null_space"])
