"""Editor rledit: its update, the gradient of a stream, and what training on streams does; beside test_contract.py."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from lib.editors import rledit
from lib.edits.apply import applied
from lib.edits.edit import Edit, compose
from lib.edits.updates import Dense
from lib.methods.hypernets.cases import CaseSource, TrainingCase
from lib.methods.hypernets.streams import _Trainer
from lib.methods.hypernets.turns import rows_of
from lib.methods.training.loop import Checkpoints
from lib.models.tokens import encode_edits
from tests.helpers.baselines import REQUESTS, context, same
from tests.helpers.hypernets import POOL, quick, trained
from tests.helpers.models import byte_tokenizer, tiny_model
from tests.helpers.updates import dense

PATH = "model.layers.1.mlp.down_proj"


def drawn_network(**changed: Any) -> rledit.RLEditNetwork:
    """A network whose blocks are not the identity."""
    network = rledit.new_network(tiny_model("llama"), quick("rledit", **changed))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith((".u", ".bias", ".shift")):
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return network


def test_a_turns_update_is_the_ridge_solution_for_what_the_blocks_say() -> None:
    model, items = tiny_model("llama"), encode_edits(byte_tokenizer(), REQUESTS)
    network = drawn_network()
    rows = rows_of(model, items, network.paths, "answer", 4096)
    x, delta = rows[PATH]
    assert len(x) == sum(len(item.targets[0]) for item in items)
    network.gather(rows)
    with torch.no_grad():
        network.log_ridges.fill_(0.7)
        update = network(rows)[PATH].dense()
    hidden = torch.cat([(part - part.mean(0)) / part.std(0) for part in (x, delta)], dim=1)
    (shared,) = network.of_shape.values()
    for block in shared.blocks:  # type: ignore[union-attr]
        hidden = hidden + (hidden @ block.v.T @ block.u.T + block.bias).clamp(min=0) + block.shift[0]
    new_x, new_delta = hidden.detach()[:, : x.shape[1]], hidden.detach()[:, x.shape[1] :]
    v = -2e-3 * (x * new_x).sum(1, keepdim=True) * new_delta
    inverse = torch.linalg.inv(x.T @ x + torch.tensor(0.7).exp() * torch.eye(x.shape[1]))
    torch.testing.assert_close(update, (inverse @ x.T @ v).T, atol=1e-3 * float(update.abs().max()), rtol=1e-2)


def log_p(model: Any, item: Any, weight: Tensor) -> Tensor:
    """log p where each of the target's tokens is predicted, by the model's own pass with this weight: [t, v]."""
    ids = torch.tensor([[*item.prompt, *item.targets[0][:-1]]])
    logits: Tensor = functional_call(model, {f"{PATH}.weight": weight}, (ids,)).logits[0, len(item.prompt) - 1 :]
    return logits.log_softmax(-1)


def paid(model: Any, cases: Sequence[TrainingCase], before: Tensor, after: Tensor) -> Tensor:
    """edit + 0.6 * locality of a turn's cases, where its own change or a later one turns the weight into `after`."""
    terms = []
    for case in cases:
        target = torch.tensor(case.rephrased.targets[0])
        terms.append(-log_p(model, case.rephrased, after).gather(1, target[:, None]).mean())
        for item in case.locality:
            old, new = log_p(model, item, before).detach(), log_p(model, item, after)
            terms.append(0.6 / len(case.locality) * (old.exp() * (old - new)).sum(1).mean())
    return torch.stack(terms).sum() / len(cases)


def test_the_gradient_is_that_of_the_discounted_losses_of_the_paper() -> None:
    """Of two turns; written out with the weight as a matrix, and the first turn's update a constant in the second."""
    model, network, how = (
        tiny_model("llama"),
        drawn_network(),
        quick("rledit", discount=0.5, penalty=0.03, locality_weight=0.6),
    )
    trainer = _Trainer(model, byte_tokenizer(), how, context())
    turns = [trainer.cases(CaseSource(POOL), f"turn {turn}") for turn in range(2)]
    stream = trainer.turn(network, trainer.turn(network, Edit(updates={}), turns[:1]), turns)

    by_hand, weight = drawn_network(), model.get_submodule(PATH).weight.detach().clone()
    before, total = weight, torch.zeros(())
    for turn, cases in enumerate(turns):
        with applied(model, Edit(updates={PATH: Dense(delta=before - weight)})):
            rows = rows_of(model, [case.edit for case in cases], by_hand.paths, "answer", 4096)
        by_hand.gather(rows)
        change = by_hand(rows)[PATH].dense()
        for back in range(turn + 1):
            total = total + 0.5**back * paid(model, turns[turn - back], before, before + change)
        total = total + 0.03 * change.square().sum()
        before = before + change.detach()
    total.backward()  # type: ignore[no-untyped-call]
    for (name, parameter), (_, expected) in zip(network.named_parameters(), by_hand.named_parameters(), strict=True):
        assert parameter.grad is not None, name
        assert expected.grad is not None, name
        torch.testing.assert_close(
            parameter.grad, expected.grad, atol=2e-3 * float(expected.grad.abs().max()), rtol=1e-2
        )
    torch.testing.assert_close(dense(stream.updates[PATH]), before - weight, atol=1e-5, rtol=1e-3)


def test_training_lowers_the_losses_of_a_held_out_stream(tmp_path: Path) -> None:
    """Beside a network that has the same tokens to normalise by, and has not moved."""
    how: dict[str, Any] = {"streams": 8, "turns": 3, "batch_size": 4, "penalty": 0.0}
    learned, unmoved = (
        trained("rledit", tiny_model("llama"), tmp_path / f"{lr}", lr=lr, **how) for lr in (3e-3, 1e-12)
    )
    assert learned["validation_loss"] < unmoved["validation_loss"] - 0.05
    assert (learned["steps"], learned["facts"]) == (8, len(POOL))
    assert learned["validation_edit_before"] == unmoved["validation_edit_before"] > learned["validation_edit"]


def test_a_training_that_was_killed_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    def run(folder: str, checkpoint_folder: str, stop: int) -> None:
        def steps(all_steps: Iterable[int]) -> Iterator[int]:
            for step in all_steps:
                if step == stop:
                    raise KeyboardInterrupt
                yield step

        checkpoints = Checkpoints(folder=tmp_path / checkpoint_folder, every=1)
        own_context = replace(context(), progress=steps, checkpoints=checkpoints)
        trained("rledit", tiny_model("llama"), tmp_path / folder, own_context, streams=3)

    run("whole", "kept-whole", stop=-1)
    with pytest.raises(KeyboardInterrupt):
        run("resumed", "kept", stop=3)  # in the second turn of the second stream
    assert (tmp_path / "kept/state.safetensors").is_file()
    run("resumed", "kept", stop=2)  # goes on in the second turn
    for file in ("hypernet.safetensors", "hypernet.json"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "resumed" / file).read_bytes()


def test_turns_of_one_run_are_sessions_that_go_on_from_the_state(tmp_path: Path) -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    trained("rledit", model, tmp_path)
    own_context = replace(context(), hypernet=tmp_path)
    at_once = rledit.edit(model, tokenizer, REQUESTS, quick("rledit", batch_size=2), own_context)
    first = rledit.edit(model, tokenizer, REQUESTS[:2], quick("rledit"), own_context)
    with applied(model, first):
        second = rledit.edit(model, tokenizer, REQUESTS[2:], quick("rledit"), replace(own_context, state=first.state))
    assert same(at_once, compose(first, second), tolerance=1e-5)
    assert all(torch.equal(at_once.state[name], value) for name, value in second.state.items())


def test_without_its_network_it_says_how_to_train_it(tmp_path: Path) -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    with pytest.raises(FileNotFoundError, match="dvc repro hypernet"):
        rledit.edit(model, tokenizer, REQUESTS, quick("rledit"), context())
    trained("rledit", model, tmp_path)
    with pytest.raises(ValueError, match="wanted shape"):
        rledit.edit(model, tokenizer, REQUESTS, quick("rledit", rank=3), replace(context(), hypernet=tmp_path))
