"""Protocols: single edits equal edits alone, a sequential run is the sum of its sessions and survives a kill."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lib.core.params import Lora, Protocol, Regularize, Train
from lib.core.records import Request, UneditedFact
from lib.editors import editor
from lib.edits.apply import applied
from lib.edits.edit import Edit
from lib.edits.regularize import pruned
from lib.edits.updates import Dense
from lib.methods.context import Context
from lib.methods.contract import Needs
from lib.methods.training.loop import Step
from lib.protocols.job import UNEDITED, Job, mass
from lib.protocols.sequential import checkpoint_numbers, sequential
from lib.protocols.single import edits_together, single
from lib.runtime.distributed import Distributed
from lib.runtime.scratch import forget
from tests.helpers.models import TARGETS, byte_tokenizer, tiny_model

REQUESTS = [
    Request(
        request_id=f"e{n}", dataset="own", subject=name, relation="r", prompt=f"{name} lives in",
        template="{} lives in",
        target_new=new, target_true=true,
    )
    for n, (name, new, true) in enumerate(
        [("Ada", "Rome", "Oslo"), ("Ben", "Oslo", "Rome"), ("Cy", "Bonn", "Rome"), ("Di", "Rome", "Bonn")]
    )
]  # fmt: skip
NEIGHBORS = [
    UneditedFact(
        request_id=request.request_id, fact_id="f", rank=0, similarity=None, prompt="Eve lives in", target="Pau"
    )
    for request in REQUESTS
]


def protocol(**changed: Any) -> Protocol:
    values: dict[str, Any] = {
        "kind": "sequential",
        "mode": "corrected",
        "batch_size": 1,
        "checkpoints": [],
        "together": "auto",
    }
    return Protocol(**(values | changed))


def job(folder: Path, regularize: str = "none") -> Job:
    train = Train(
        objective="published", after=0.0, keep=0.0, mask_prompt=True, masking="corrected", epochs=4, lr=1e-2,
        batch_size=8, micro_batch_tokens=256, checkpoint_steps=2, dpo=0.0, dpo_beta=0.5, dpo_pairs="corrected",
        text=0.0, text_examples=1, seed=0,
    )  # fmt: skip
    context = Context(
        paraphrases=[],
        neighbors=NEIGHBORS,
        lora=Lora(r=2, alpha=4.0, targets=TARGETS["llama"]),
        train=train,
        distributed=Distributed(),
        progress=lambda steps: steps,
        checkpoints=None,
        record=lambda steps: None,
    )
    lora = editor("lora")
    return Job(
        model=tiny_model("llama"),
        tokenizer=byte_tokenizer(),
        editor=lora,
        settings=lora.Settings.model_validate({"weight_decay": 0.0, "max_grad_norm": 1.0, "text_tokens": 16}),
        context=context,
        regularize=Regularize(method=regularize, mode="corrected", keep=40.0, seed=0),  # type: ignore[arg-type]
        folder=folder,
    )


def logits(model: Any, edit: Edit) -> torch.Tensor:
    ids = torch.tensor([[5, 6, 7, 8]])
    with applied(model, edit), torch.no_grad():
        logits: torch.Tensor = model(ids).logits
    return logits


@pytest.mark.parametrize("regularize", ["none", "rect"])
def test_single_edits_that_share_passes_equal_each_alone(tmp_path: Path, regularize: str) -> None:
    single_job = job(tmp_path, regularize)
    together = {request.request_id: edit for request, edit in single(single_job, REQUESTS, 3)}
    assert list(together) == [request.request_id for request in REQUESTS]
    for request in REQUESTS:
        alone = mass(replace(single_job, context=single_job.context.of([request])), [request])
        forget(tmp_path)
        torch.testing.assert_close(
            logits(single_job.model, together[request.request_id]),
            logits(single_job.model, alone),
            atol=2e-2,
            rtol=1e-2,
        )


def test_a_sequential_run_adds_up_and_keeps_its_checkpoints(tmp_path: Path) -> None:
    sequential_job = job(tmp_path)
    checkpoints: dict[int, Edit] = {}
    final = sequential(sequential_job, REQUESTS, protocol(checkpoints=[1, 3]), checkpoints.__setitem__)
    assert list(checkpoints) == [1, 3, 4]
    first = mass(replace(sequential_job, context=sequential_job.context.of(REQUESTS[:1])), REQUESTS[:1])
    torch.testing.assert_close(logits(sequential_job.model, checkpoints[1]), logits(sequential_job.model, first))
    torch.testing.assert_close(logits(sequential_job.model, final), logits(sequential_job.model, checkpoints[4]))
    assert not torch.allclose(
        logits(sequential_job.model, checkpoints[3]), logits(sequential_job.model, checkpoints[1])
    )


def test_counts_are_of_all_sessions(tmp_path: Path) -> None:
    checkpoints: dict[int, Edit] = {}
    sequential(job(tmp_path), REQUESTS, protocol(batch_size=3, checkpoints=[3]), checkpoints.__setitem__)
    assert [edit.info["pairs"] for edit in checkpoints.values()] == [6, 8]


def test_prune_limits_the_sum_at_every_checkpoint_and_editing_goes_on_from_the_sum_as_it_was(tmp_path: Path) -> None:
    path, seen = "model.layers.0.mlp.down_proj", []

    def edit(model: Any, tokenizer: Any, requests: Any, settings: Any, context: Context) -> Edit:
        seen.append(model.get_submodule(path).weight.clone())
        generator = torch.Generator().manual_seed(len(seen))
        return Edit(updates={path: Dense(delta=torch.randn(32, 48, generator=generator))})

    sequential_job = replace(job(tmp_path, "prune"), editor=SimpleNamespace(edit=edit, NEEDS=Needs()))
    base = sequential_job.model.get_submodule(path).weight.clone()
    checkpoints: dict[int, Edit] = {}
    final = sequential(sequential_job, REQUESTS, protocol(checkpoints=[1, 2]), checkpoints.__setitem__)
    (tmp_path / "session-00000004").rename(tmp_path / "last")
    repeated: dict[int, Edit] = {}
    sequential(sequential_job, REQUESTS, protocol(checkpoints=[1, 2]), repeated.__setitem__)  # goes on after a kill
    for number in (1, 2):
        total = seen[number] - base
        delta = checkpoints[number].updates[path].dense()  # type: ignore[union-attr]
        torch.testing.assert_close(delta, pruned(Dense(delta=total), base), atol=1e-4, rtol=1e-4)
        assert delta.norm() < 0.9 * total.norm()
        assert torch.equal(repeated[number].updates[path].dense(), delta)  # type: ignore[union-attr]
    assert torch.equal(final.updates[path].dense(), checkpoints[4].updates[path].dense())  # type: ignore[union-attr]
    assert torch.linalg.matrix_norm(final.updates[path].dense(), 2) < 2 * torch.linalg.matrix_norm(base, 2)  # type: ignore[union-attr]
    single_edit = next(
        iter(single(replace(sequential_job, editor=SimpleNamespace(edit=edit, NEEDS=Needs())), REQUESTS[:1], 1))
    )[1]
    assert single_edit.info["regularize"]["method"] == "prune"


def test_a_killed_sequential_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    def killed(sessions: Iterable[int]) -> Iterator[int]:
        for count, session in enumerate(sessions):
            if count == 3:
                raise KeyboardInterrupt
            yield session

    def recorded(folder: Path, steps: list[Step]) -> Job:
        return replace(job(folder), context=replace(job(folder).context, record=steps.extend))

    folders = [tmp_path / "whole", tmp_path / "killed"]
    for folder in folders:
        folder.mkdir()
    curve: list[Step] = []
    uninterrupted = sequential(
        recorded(folders[0], curve), REQUESTS, protocol(checkpoints=[2]), lambda done, edit: None
    )
    stopped = job(folders[1])
    with pytest.raises(KeyboardInterrupt):
        sequential(
            replace(stopped, context=replace(stopped.context, progress=killed)), REQUESTS, protocol(checkpoints=[2]),
            lambda done, edit: None,
        )  # fmt: skip
    numbers: list[int] = []
    resumed_curve: list[Step] = []
    resumed = sequential(
        recorded(folders[1], resumed_curve), REQUESTS, protocol(checkpoints=[2]),
        lambda done, edit: numbers.append(done),
    )  # fmt: skip
    assert numbers == [2, 4]
    assert resumed_curve == curve
    for path, update in uninterrupted.updates.items():
        assert torch.equal(resumed.updates[path].dense(), update.dense())  # type: ignore[union-attr]


@pytest.mark.parametrize("damaged", ["session-00000002", "session-00000001"])
def test_a_run_goes_on_from_the_session_before_a_damaged_one_to_the_same_bytes(damaged: str, tmp_path: Path) -> None:
    marks = protocol(checkpoints=[1, 2])
    uninterrupted = sequential(job(tmp_path), REQUESTS, marks, lambda done, edit: None)
    file = tmp_path / damaged / "updates.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    numbers: list[int] = []
    resumed = sequential(job(tmp_path), REQUESTS, marks, lambda done, edit: numbers.append(done))
    assert numbers == [1, 2, 4]
    for path, update in uninterrupted.updates.items():
        assert torch.equal(resumed.updates[path].dense(), update.dense())  # type: ignore[union-attr]


def test_of_a_long_run_only_checkpoints_and_the_last_two_sessions_stay_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.protocols.sequential._SECONDS_BETWEEN_SAVES", -1)
    sequential(job(tmp_path), [*REQUESTS, *REQUESTS], protocol(checkpoints=[1]), lambda done, edit: None)
    assert sorted(path.name for path in tmp_path.glob("session-*")) == [
        "session-00000001", "session-00000007", "session-00000008"
    ]  # fmt: skip


def test_checkpoints_must_be_ends_of_batches() -> None:
    assert checkpoint_numbers(protocol(batch_size=3, checkpoints=[3, 6]), 8) == [3, 6, 8]
    with pytest.raises(ValueError, match="4 is not the end of a batch"):
        checkpoint_numbers(protocol(batch_size=3, checkpoints=[4]), 8)


def test_the_number_of_edits_together_is_set_or_follows_from_memory(tmp_path: Path) -> None:
    assert edits_together(job(tmp_path), protocol(together=5)) == 5
    assert edits_together(job(tmp_path), protocol()) == 16


def test_edits_that_are_trained_in_turn_are_asked_for_one_by_one_so_that_each_survives_a_kill(tmp_path: Path) -> None:
    in_turn = job(tmp_path)
    train = in_turn.context.train.model_copy(update={"masking": "published"})
    assert edits_together(replace(in_turn, context=replace(in_turn.context, train=train)), protocol()) == 1


def test_every_part_of_a_run_tells_how_far_it_is_by_the_places_of_its_edits(tmp_path: Path) -> None:
    names_told: list[str] = []

    def show(items: Any, name: str, total: int | None) -> Any:
        names_told.append(name)
        return items

    def edit(model: Any, tokenizer: Any, requests: Any, settings: Any, context: Context) -> Edit:
        for _ in context.progress(range(3)):
            for _ in context.show(range(2), "chat answers", None):
                pass
        return UNEDITED

    quiet = job(tmp_path)
    editor: Any = SimpleNamespace(edit=edit, NEEDS=Needs())
    telling = replace(quiet, editor=editor, context=replace(quiet.context, show=show))
    sequential(telling, REQUESTS, protocol(batch_size=3), lambda done, edit: None)
    assert [*dict.fromkeys(names_told)] == [
        "edits 1 to 3",
        "edits 1 to 3: chat answers",
        "edit 4",
        "edit 4: chat answers",
    ]
    names_told.clear()
    list(single(telling, REQUESTS[:3], 2))
    assert [name for name in names_told if ":" not in name] == ["edit 1", "edit 2", "edit 3"]


def test_the_model_is_left_as_it_was(tmp_path: Path) -> None:
    single_job = job(tmp_path)
    before = logits(single_job.model, UNEDITED)
    list(single(single_job, REQUESTS[:2], 2))
    sequential(single_job, REQUESTS[:2], protocol(), lambda done, edit: None)
    assert torch.equal(logits(single_job.model, UNEDITED), before)
