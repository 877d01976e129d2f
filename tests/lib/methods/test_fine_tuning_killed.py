"""Fine-tuning of a module goes on from an epoch's end after a kill, with the same bytes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lib.methods.fine_tuning import loop
from lib.methods.training.loop import Checkpoints, Step
from tests.helpers.baselines import REQUESTS, same
from tests.helpers.contract import Case, case_of


def beside(case: Case, folder: Path, **changed: Any) -> Case:
    """The case with batches of one request, and a checkpoint in `folder` after every epoch."""
    folder.mkdir()
    return replace(
        case,
        settings=case.settings.model_copy(update={"batch_size": 1, "min_loss": 0.0, **changed}),
        context=replace(case.context, checkpoints=Checkpoints(folder=folder, every=1)),
    )


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The loss of every batch that was trained on."""
    losses: list[float] = []
    backward = loop._backward

    def counted(*inputs: Any) -> float:
        losses.append(backward(*inputs))
        return losses[-1]

    monkeypatch.setattr(loop, "_backward", counted)
    return losses


@pytest.mark.parametrize("name", ["ft", "ft_l", "ft_w", "loc_ft"])
def test_an_epoch_that_ended_is_not_trained_again(
    name: str, tmp_path: Path, batches: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = case_of(name, "llama", tmp_path / "shared")
    curves: list[Step] = []
    expected = beside(case, tmp_path / "whole").edit(REQUESTS)
    killed = beside(case, tmp_path / "killed")
    batches.clear()
    with monkeypatch.context() as within:
        backward = loop._backward
        within.setattr(loop, "_backward", lambda *inputs: backward(*inputs) if len(batches) < 5 else _stop())
        with pytest.raises(KeyboardInterrupt):
            killed.edit(REQUESTS)
    assert len(batches) == 5 > len(REQUESTS)

    def record(steps: Sequence[Step]) -> None:
        curves.extend(steps)

    edit = replace(killed, context=replace(killed.context, record=record)).edit(REQUESTS)
    assert len(batches) == 5 + 2 * len(REQUESTS), "the first of three epochs had ended"
    assert same(edit, expected)
    assert [step.step for step in curves] == [*range(3 * len(REQUESTS))]


def test_depth_first_takes_no_batch_for_trained_by_the_checkpoint_of_another(tmp_path: Path) -> None:
    case = case_of("loc_ft", "llama", tmp_path / "shared")
    plain = beside(case, tmp_path / "plain", order="depth")
    without = replace(plain, context=replace(plain.context, checkpoints=None)).edit(REQUESTS)
    assert same(plain.edit(REQUESTS), without)


def _stop() -> Any:
    raise KeyboardInterrupt
