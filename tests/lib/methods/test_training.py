"""Training: it converges, continues after a kill with the same bytes, and is the same in two processes."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lib.core.params import Lora
from lib.edits.adapter import new_adapter
from lib.methods.training.example import Example
from lib.methods.training.loop import Checkpoints, Schedule, Step, train
from lib.methods.training.pairs import unmasked
from lib.models.packing import Item
from lib.runtime.distributed import Distributed
from tests.helpers.models import TARGETS, tiny_model

ITEMS = [Item(prompt=(n + 1, n + 2, n % 3), targets=(tuple(range(n % 4 + 10, n % 4 + 12 + n % 2)),)) for n in range(22)]

EXAMPLES = [Example(item=item) for item in ITEMS]


def schedule(**changes: float) -> Schedule:
    values = {
        "epochs": 3,
        "lr": 1e-2,
        "batch_size": 4,
        "micro_batch_tokens": 24,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
    }
    return Schedule(**(values | {"seed": 0} | changes))  # type: ignore[arg-type]


def trained(
    plan: Schedule, checkpoints: Checkpoints | None = None, stop_after: int | None = None
) -> tuple[list[torch.Tensor], list[Step]]:
    model = tiny_model("llama")
    adapter = new_adapter(model, Lora(r=4, alpha=8.0, targets=TARGETS["llama"]), seed=0)

    def killed(steps: Iterable[int]) -> Iterator[int]:
        for step in steps:
            if step == stop_after:
                raise KeyboardInterrupt
            yield step

    with adapter.attached(model):
        done = train(model, adapter.parameters(), EXAMPLES, plan, Distributed(), killed, checkpoints)
    return [parameter.detach() for parameter in adapter.parameters()], done


def test_the_loss_falls_to_a_quarter() -> None:
    _, steps = trained(schedule(epochs=30))
    assert steps[-1].loss < steps[0].loss / 4


def test_a_killed_run_continues_to_the_same_bytes(tmp_path: Path) -> None:
    uninterrupted, steps = trained(schedule())
    checkpoints = Checkpoints(folder=tmp_path, every=2)
    for kill in (3, 9):
        with pytest.raises(KeyboardInterrupt):
            trained(schedule(), checkpoints, stop_after=kill)
    (tmp_path / "unfinished").write_bytes(b"half a checkpoint")
    assert sorted(path.name for path in tmp_path.glob("step-*")) == [
        "step-00000006.safetensors",
        "step-00000008.safetensors",
    ]
    resumed, continued = trained(schedule(), checkpoints)
    assert all(torch.equal(a, b) for a, b in zip(uninterrupted, resumed, strict=True))
    assert continued == steps


def test_long_steps_are_kept_by_the_clock_and_short_ones_by_their_number(tmp_path: Path) -> None:
    for seconds, names in ((0.0, ["step-00000001.safetensors", "step-00000002.safetensors"]), (3600.0, [])):
        folder = tmp_path / str(seconds)
        folder.mkdir()
        with pytest.raises(KeyboardInterrupt):
            trained(schedule(), Checkpoints(folder=folder, every=100, seconds=seconds), stop_after=2)
        assert sorted(path.name for path in folder.glob("step-*")) == names


def test_forward_passes_of_any_size_give_the_same_step() -> None:
    in_small_batches, _ = trained(schedule(micro_batch_tokens=8))
    in_large_batches, _ = trained(schedule(micro_batch_tokens=4096))
    for a, b in zip(in_small_batches, in_large_batches, strict=True):
        torch.testing.assert_close(a, b, atol=2e-4, rtol=1e-3)


def test_every_epoch_goes_through_all_items_once_in_another_order() -> None:
    plan = schedule(batch_size=5)
    epochs = [[index for step in range(e * 5, e * 5 + 5) for index in plan.batch(step, 22)] for e in range(2)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(22))] * 2
    assert epochs[0] != epochs[1]


@pytest.mark.slow
def test_two_processes_train_to_the_single_process_result(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run(
        [*command, "-m", "tests.helpers.train_two", str(tmp_path / "two.safetensors")], check=True, timeout=300
    )
    single, _ = trained(schedule())
    double = load_file(tmp_path / "two.safetensors")
    for index, matrix in enumerate(single):
        torch.testing.assert_close(double[str(index)], matrix, atol=2e-4, rtol=1e-3)


def test_nothing_to_train_on_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one pair"):
        train(tiny_model("llama"), [], [], schedule(), Distributed(), lambda steps: steps)


def test_unmasking_makes_every_token_after_the_first_a_target() -> None:
    assert unmasked(Item(prompt=(1, 2, 3), targets=((4, 5),))) == Item(prompt=(1,), targets=((2, 3, 4, 5),))


def test_few_pairs_get_more_epochs_where_steps_are_asked_for() -> None:
    schedule = Schedule(
        epochs=2,
        lr=1.0,
        batch_size=4,
        micro_batch_tokens=64,
        weight_decay=0.0,
        max_grad_norm=1.0,
        seed=0,
        least_steps=9,
    )
    assert schedule.steps(4) == 9
    assert schedule.steps(5) == 10  # whole epochs of two steps
    assert schedule.steps(100) == 50
    assert sorted(index for step in range(8, 10) for index in schedule.batch(step, 5)) == [0, 1, 2, 3, 4]
