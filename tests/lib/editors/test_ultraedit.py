"""Editor ultraedit: its closed form, its lifelong moments and its turns, beside what test_contract.py says."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from lib.editors import ultraedit
from lib.edits.apply import applied
from lib.edits.edit import compose
from lib.edits.updates import Dense, LowRank
from lib.models.architecture import architecture
from lib.models.tokens import encode_edits
from tests.helpers.baselines import REQUESTS, context, same, settings
from tests.helpers.models import byte_tokenizer, tiny_model

GENERATOR = torch.Generator().manual_seed(0)


def how(**changed: Any) -> Any:
    return settings(ultraedit, "ultraedit", **{"down": [1], "rate": 2e-3} | changed)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=GENERATOR)


@pytest.mark.parametrize(("n", "kind"), [(5, LowRank), (40, Dense)])
def test_the_update_is_the_ridge_solution_of_the_paper(n: int, kind: type) -> None:
    x, normal_x, normal_delta = drawn(n, 12), drawn(n, 12), drawn(n, 8)
    update = ultraedit.closed_form(x, normal_x, normal_delta, 0.3)
    v = -0.3 * normal_x.square().sum(1, keepdim=True) * normal_delta
    expected = (torch.linalg.inv(x.T @ x + torch.eye(12)) @ x.T @ v).T
    assert isinstance(update, kind)
    torch.testing.assert_close(update.dense(), expected, atol=1e-4, rtol=1e-3)


def signals_by_hand(index: int) -> tuple[Tensor, Tensor]:
    """x and delta of every token at the down projection of layer 0, for the mean loss of one request's new object."""
    model, (item,) = tiny_model("llama"), encode_edits(byte_tokenizer(), [REQUESTS[index]])
    module, rows = model.get_submodule(architecture(model).mlp_out_of(0)), {}

    def keep(module: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        rows["x"] = inputs[0][0].detach()
        rows["out"] = output.detach().requires_grad_()
        return rows["out"]

    module.register_forward_hook(keep)
    target = torch.tensor(item.targets[0])
    logits = model(torch.tensor([[*item.prompt, *item.targets[0][:-1]]])).logits[0, len(item.prompt) - 1 :]
    torch.nn.functional.cross_entropy(logits, target).backward()  # type: ignore[no-untyped-call]
    gradient = rows["out"].grad
    assert gradient is not None
    return rows["x"], gradient[0]


@pytest.mark.parametrize("tokens", ["all", "answer"])
def test_a_turn_normalises_by_all_tokens_so_far_and_solves(tokens: str) -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    edit = ultraedit.edit(model, tokenizer, REQUESTS[:2], how(down=[0], tokens=tokens), context())
    rows = []
    for index in (0, 1):
        x, delta = signals_by_hand(index)
        first = len(encode_edits(tokenizer, [REQUESTS[index]])[0].prompt) - 1
        taken = delta.ne(0).any(1) & (torch.arange(len(x)) >= (first if tokens == "answer" else 0))
        rows.append((x[taken], delta[taken]))
    x, delta = torch.cat([x for x, _ in rows]), torch.cat([delta for _, delta in rows])
    normal_x, normal_delta = ((part - part.mean(0)) / part.std(0) for part in (x, delta))
    v = -2e-3 * normal_x.square().sum(1, keepdim=True) * normal_delta
    expected = (torch.linalg.inv(x.T @ x + torch.eye(x.shape[1])) @ x.T @ v).T
    (update,) = edit.updates.values()
    assert isinstance(update, Dense | LowRank)
    torch.testing.assert_close(update.dense(), expected, atol=1e-4 * float(expected.abs().max()), rtol=1e-2)


def test_turns_of_one_run_are_sessions_that_go_on_from_the_state() -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    at_once = ultraedit.edit(model, tokenizer, REQUESTS, how(batch_size=2), context())
    first = ultraedit.edit(model, tokenizer, REQUESTS[:2], how(), context())
    with applied(model, first):
        second = ultraedit.edit(model, tokenizer, REQUESTS[2:], how(), replace(context(), state=first.state))
    assert same(at_once, compose(first, second), tolerance=1e-5)
    assert all(torch.equal(at_once.state[name], value) for name, value in second.state.items())
    alone = ultraedit.edit(model, tokenizer, REQUESTS[2:], how(), context())
    assert not same(alone, second, tolerance=1e-2)  # the earlier turn's tokens count in its moments


def test_gates_are_changed_where_the_model_has_them_and_refused_elsewhere() -> None:
    tokenizer = byte_tokenizer()
    edit = ultraedit.edit(tiny_model("llama"), tokenizer, REQUESTS, how(gate=[0], up=[1], down=[]), context())
    assert [*edit.updates] == ["model.layers.0.mlp.gate_proj", "model.layers.1.mlp.up_proj"]
    with pytest.raises(ValueError, match="has no gate"):
        ultraedit.edit(tiny_model("gpt2"), tokenizer, REQUESTS, how(gate=[0]), context())
    with pytest.raises(ValueError, match="layers 0 to 1, found 7"):
        ultraedit.edit(tiny_model("gpt2"), tokenizer, REQUESTS, how(down=[7]), context())
