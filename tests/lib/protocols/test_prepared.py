"""What an editor gets from a run beside its requests: what all edits share, and what the batches before have edited."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lib.core.params import Protocol, Regularize
from lib.core.records import Paraphrase, Request
from lib.edits.edit import Edit
from lib.edits.updates import LowRank
from lib.methods.contract import Needs
from lib.models.architecture import architecture
from lib.protocols.job import Job, mass
from lib.protocols.sequential import sequential
from lib.protocols.single import single
from tests.helpers.baselines import REQUESTS, context
from tests.helpers.models import byte_tokenizer, tiny_model

MODEL = tiny_model("gpt2")
IDS = torch.tensor([[5, 6, 7]])
UNEDITED_LOGITS = MODEL(IDS).logits


class Editor:
    """Adds a constant to a weight; counts what it prepares, and fails at the request named `fails`."""

    __name__ = "counting"
    NEEDS = Needs(prepares=True)

    def __init__(self, fails: str = "") -> None:
        self.preparations, self.fails = 0, fails

    def prepare(self, model: Any, tokenizer: Any, settings: Any, context: Any) -> str:
        assert torch.equal(model(IDS).logits, UNEDITED_LOGITS)
        self.preparations += 1
        return "prepared"

    def edit(self, model: Any, tokenizer: Any, requests: Sequence[Request], settings: Any, context: Any) -> Edit:
        assert context.prepared == "prepared"
        if requests[0].request_id == self.fails:
            raise KeyboardInterrupt
        update = LowRank(left=torch.full((32, 1), 0.01), right=torch.full((1, 128), 0.01))
        return Edit(updates={architecture(model).mlp_out_of(0): update})


def job(editor: Editor, folder: Path) -> Job:
    values: Any = editor
    regularize = Regularize(method="none", mode="corrected", keep=40.0, seed=0)
    return Job(
        model=MODEL, tokenizer=byte_tokenizer(), editor=values, settings=None, context=context(),
        regularize=regularize, folder=folder,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["mass", "single", "sequential"])
def test_every_protocol_prepares_once(kind: str, tmp_path: Path) -> None:
    editor = Editor()
    protocol = Protocol(kind="sequential", mode="corrected", batch_size=1, checkpoints=[], together="auto")
    if kind == "mass":
        mass(job(editor, tmp_path), REQUESTS)
    elif kind == "single":
        assert len(list(single(job(editor, tmp_path), REQUESTS, 1))) == len(REQUESTS)
    else:
        sequential(job(editor, tmp_path), REQUESTS, protocol, lambda number, edit: None)
    assert editor.preparations == 1


def test_what_goes_on_after_a_kill_prepares_of_the_unedited_model(tmp_path: Path) -> None:
    protocol = Protocol(kind="sequential", mode="corrected", batch_size=1, checkpoints=[1, 2], together="auto")
    killed, resumed = Editor(fails=REQUESTS[2].request_id), Editor()
    with pytest.raises(KeyboardInterrupt):
        sequential(job(killed, tmp_path), REQUESTS, protocol, lambda number, edit: None)
    sequential(job(resumed, tmp_path), REQUESTS, protocol, lambda number, edit: None)
    assert (killed.preparations, resumed.preparations) == (1, 1)


@pytest.mark.parametrize("closes", [True, False])
def test_a_batch_gets_the_ones_before_it_and_can_compute_without_them(closes: bool, tmp_path: Path) -> None:
    class Reader(Editor):
        NEEDS = Needs(prepares=True, closes_earlier=closes)

        def edit(self, model: Any, tokenizer: Any, requests: Sequence[Request], settings: Any, context: Any) -> Edit:
            earlier = context.earlier
            names.append(([row.request_id for row in earlier.requests], [row.text for row in earlier.paraphrases]))
            assert torch.equal(model(IDS).logits, UNEDITED_LOGITS) == (len(names) == 1)
            assert (earlier.gate is not None) == (closes and len(names) > 1)
            if earlier.gate is not None:
                with earlier.gate.closed():
                    assert torch.equal(model(IDS).logits, UNEDITED_LOGITS)
            return super().edit(model, tokenizer, requests, settings, context)

    names: list[tuple[list[str], list[str]]] = []
    reading = job(Reader(), tmp_path)
    rows = [Paraphrase(request_id=edit.request_id, kind="given", text=edit.prompt, seed=0) for edit in REQUESTS]
    reading = replace(reading, context=replace(reading.context, paraphrases=rows))
    protocol = Protocol(kind="sequential", mode="corrected", batch_size=1, checkpoints=[], together="auto")
    sequential(reading, REQUESTS, protocol, lambda number, edit: None)
    ids, prompts = [request.request_id for request in REQUESTS], [request.prompt for request in REQUESTS]
    assert names == [(ids[:count], prompts[:count]) for count in range(len(REQUESTS))]
    assert torch.equal(MODEL(IDS).logits, UNEDITED_LOGITS)
