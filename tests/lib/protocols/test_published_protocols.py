"""Protocols with mode published: what releases do in place of one edit after another, a batch, and single edits."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lib.core.params import Protocol, Regularize
from lib.core.records import Request
from lib.edits.apply import linear_weight
from lib.edits.edit import Edit
from lib.edits.updates import LowRank
from lib.methods.contract import Needs
from lib.models.architecture import architecture
from lib.protocols.job import Job
from lib.protocols.sequential import applied_in_turn, sequential
from lib.protocols.single import carried_on
from tests.helpers.baselines import REQUESTS, context
from tests.helpers.models import byte_tokenizer, tiny_model

MODEL = tiny_model("llama")
PATH = architecture(MODEL).mlp_out_of(0)


def counting(sessions: list[list[str]]) -> Any:
    """An editor that notes whom it edits, and adds to one weight as much as there is of it: it doubles."""

    def edit(model: Any, tokenizer: Any, requests: Sequence[Request], settings: Any, context: Any) -> Edit:
        sessions.append([request.request_id for request in requests])
        inputs = torch.zeros(1, 48)
        inputs[0, 0] = 1.0
        output = model.get_submodule(PATH)(inputs).detach()[0]  # with the edits before, which run beside the weight
        left = torch.zeros_like(output)
        left[0] = output[0]
        return Edit(updates={PATH: LowRank(left=left[:, None], right=inputs)})

    return SimpleNamespace(NEEDS=Needs(), edit=edit, __name__="counting")


def job(sessions: list[list[str]], folder: Path) -> Job:
    regularize = Regularize(method="none", mode="corrected", keep=40.0, seed=0)
    return Job(
        model=MODEL, tokenizer=byte_tokenizer(), editor=counting(sessions), settings=None, context=context(),
        regularize=regularize, folder=folder,
    )  # fmt: skip


def protocol(**values: Any) -> Protocol:
    defaults = {"kind": "sequential", "mode": "published", "batch_size": 1, "checkpoints": [], "together": "auto"}
    return Protocol.model_validate(defaults | values)


def entry(edit: Edit) -> float:
    """What the edit adds to the weight's first entry, in units of that entry."""
    update: Any = edit.updates[PATH]
    return float(update.dense()[0, 0] / linear_weight(MODEL.get_submodule(PATH))[0, 0])


def test_a_published_sequential_run_edits_its_first_batch_alone_and_scores_all_checkpoints(tmp_path: Path) -> None:
    sessions: list[list[str]] = []
    at: dict[int, Edit] = {}
    final = sequential(job(sessions, tmp_path), REQUESTS, protocol(checkpoints=[1]), at.__setitem__)
    assert sessions == [[REQUESTS[0].request_id]]
    assert [*at] == [1, len(REQUESTS)]
    assert entry(at[1]) == pytest.approx(1.0, rel=1e-5)
    assert entry(final) == entry(at[1])


def test_a_published_mass_run_is_one_request_after_another(tmp_path: Path) -> None:
    sessions: list[list[str]] = []
    in_turn = applied_in_turn(protocol(kind="mass", batch_size=3))
    final = sequential(job(sessions, tmp_path), REQUESTS, in_turn, lambda edits, edit: None)
    assert sessions == [[request.request_id] for request in REQUESTS]
    assert entry(final) == pytest.approx(2 ** len(REQUESTS) - 1, rel=1e-4)


@pytest.mark.parametrize("unchanged", [protocol(), protocol(kind="single"), protocol(kind="mass", mode="corrected")])
def test_other_protocols_stay_as_they_are(unchanged: Protocol) -> None:
    assert applied_in_turn(unchanged) == unchanged


def test_published_single_edits_begin_where_the_one_before_ended(tmp_path: Path) -> None:
    sessions: list[list[str]] = []
    edits = list(carried_on(job(sessions, tmp_path), REQUESTS))
    assert [request for request, _ in edits] == REQUESTS
    for number, (_, edit) in enumerate(edits, start=1):
        assert entry(edit) == pytest.approx(2**number - 1, rel=1e-4)
