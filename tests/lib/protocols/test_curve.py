"""The training curve is in its file while the training goes on, and the file's bytes are the same in the end."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from lib.core.params import Lora
from lib.editors import editor
from lib.methods.training.loop import Checkpoints, Step
from lib.protocols.curve import Curve
from tests.helpers.baselines import REQUESTS, context
from tests.helpers.models import TARGETS, byte_tokenizer, tiny_model

LORA = editor("lora")
STEPS = [Step(step=step, epoch=step / 2, loss=1 / (step + 3), lr=1e-3 * step) for step in range(5)]


def trained(curve: Curve, **changed: Any) -> None:
    """Train the tiny model on three edits in 5 epochs of two steps, with some fields of the context changed."""
    settings = LORA.Settings.model_validate({"weight_decay": 0.0, "max_grad_norm": 1.0, "text_tokens": 16})
    plain = context()
    train = plain.train.model_copy(update={"epochs": 5, "batch_size": 2, "lr": 1e-3})
    lora = Lora(r=2, alpha=2.0, targets=TARGETS["llama"])
    recorded = replace(plain, train=train, lora=lora, record=curve.add, **changed)
    LORA.edit(tiny_model("llama"), byte_tokenizer(), REQUESTS, settings, recorded)


def test_a_step_is_in_the_file_as_soon_as_it_is_done(tmp_path: Path) -> None:
    path = tmp_path / "loss.csv"
    curve = Curve(path)
    rows: list[int] = []

    def counted(steps: Iterable[int]) -> Iterator[int]:
        for step in steps:
            rows.append(len(path.read_text().splitlines()) - 1)
            yield step

    trained(curve, progress=counted)
    assert rows == [*range(10)]
    assert len(path.read_text().splitlines()) == 11


def test_the_rows_that_were_appended_are_those_that_are_written_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "loss.csv"
    curve = Curve(path)
    curve.add(STEPS[:1])
    curve.add(STEPS[1:])
    appended = path.read_bytes()
    curve.finish()
    assert path.read_bytes() == appended
    assert appended.splitlines()[:3] == [b"step,epoch,loss,lr", b"0,0.0,0.3333333333333333,0.0", b"1,0.5,0.25,0.001"]


def test_the_steps_of_several_sessions_are_counted_on(tmp_path: Path) -> None:
    curve = Curve(tmp_path / "loss.csv")
    curve.add(STEPS[:2])
    curve.add(STEPS[:2])
    assert [step.step for step in curve.steps] == [0, 1, 2, 3]
    assert [step.loss for step in curve.steps] == [1 / 3, 1 / 4, 1 / 3, 1 / 4]


def test_a_process_that_is_not_the_main_one_writes_no_file(tmp_path: Path) -> None:
    curve = Curve(None)
    curve.add(STEPS)
    curve.finish()
    assert [*tmp_path.iterdir()] == []


def test_a_resumed_training_records_what_was_before_the_checkpoint_first(tmp_path: Path) -> None:
    curves = [Curve(None), Curve(None)]
    for curve in curves:  # the second one goes on from the last checkpoint of the first
        trained(curve, checkpoints=Checkpoints(folder=tmp_path, every=4))
    assert len(curves[0].steps) == 10
    assert curves[1].steps == curves[0].steps
