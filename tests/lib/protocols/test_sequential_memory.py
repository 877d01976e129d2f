"""Sequential editing where no weight changes: memories and notes add up, also where a run goes on after a kill."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lib.core.params import Protocol, Regularize
from lib.core.records import Request
from lib.editors import grace, rag
from lib.edits.edit import Edit, compose
from lib.methods.contract import Needs
from lib.protocols.job import Job
from lib.protocols.sequential import sequential
from tests.helpers.baselines import REQUESTS, context, nll, same, settings
from tests.helpers.contract import QUICK
from tests.helpers.models import byte_tokenizer, tiny_model

PROTOCOL = Protocol(kind="sequential", mode="corrected", batch_size=1, checkpoints=[1], together="auto")


def job(editor: Any, name: str, folder: Path, fails: str = "") -> Job:
    """With this editor, which is interrupted at the request of the id `fails`."""

    def edit(model: Any, tokenizer: Any, requests: Sequence[Request], values: Any, editing: Any) -> Edit:
        if requests[0].request_id == fails:
            raise KeyboardInterrupt
        part: Edit = editor.edit(model, tokenizer, requests, values, editing)
        return part

    interrupted: Any = SimpleNamespace(edit=edit, NEEDS=Needs())
    folder.mkdir()
    return Job(
        model=tiny_model("llama"), tokenizer=byte_tokenizer(), editor=interrupted,
        settings=settings(editor, name, **QUICK[name]), context=context(),
        regularize=Regularize(method="none", mode="corrected", keep=40.0, seed=0), folder=folder,
    )  # fmt: skip


@pytest.mark.parametrize(("name", "editor"), [("grace", grace), ("rag", rag)])
def test_sessions_add_up_and_a_killed_run_goes_on_to_the_same_edit(name: str, editor: Any, tmp_path: Path) -> None:
    uninterrupted = job(editor, name, tmp_path / "uninterrupted")
    checkpoints: dict[int, Edit] = {}
    total = sequential(uninterrupted, REQUESTS, PROTOCOL, checkpoints.__setitem__)
    first, *later = (
        editor.edit(uninterrupted.model, uninterrupted.tokenizer, [request], uninterrupted.settings, context())
        for request in REQUESTS
    )
    assert same(checkpoints[1], first)
    for edit in later:
        first = compose(first, edit)
    assert same(total, first, tolerance=1e-3)
    stopped = job(editor, name, tmp_path / "killed", fails=REQUESTS[2].request_id)
    with pytest.raises(KeyboardInterrupt):
        sequential(stopped, REQUESTS, PROTOCOL, lambda number, edit: None)
    resumed = sequential(
        replace(stopped, editor=uninterrupted.editor), REQUESTS, PROTOCOL, lambda number, edit: None
    )  # fmt: skip
    assert same(resumed, total)
    unedited, edited = (
        nll(uninterrupted.model, uninterrupted.tokenizer, edit, REQUESTS) for edit in (Edit(updates={}), total)
    )
    assert (edited != unedited).any(dim=1).all()
