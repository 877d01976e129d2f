"""Scores of edits that change no weight: a memory beside a module, and notes that are retrieved for a prompt."""

import pytest

from lib.core.records import Score
from lib.editors import grace
from lib.edits.edit import Edit
from lib.edits.notes import Notebook
from tests.helpers.baselines import context, settings
from tests.helpers.models import byte_tokenizer, tiny_model
from tests.lib.scoring.test_scorer import alike, plain, requests, scorer

SHORT = {"layer": 1, "radius": 0.05, "scale": "relative", "steps": 12, "lr": 0.3}


def test_a_memory_says_the_same_in_batches_of_any_size() -> None:
    how = settings(grace, "grace", **SHORT)
    edit = grace.edit(tiny_model("llama"), byte_tokenizer(), requests(), how, context())
    tables = plain(scorer().after(edit))
    assert {row["kind"] for row in tables["scores"] if row["when"] == "after"} >= {"efficacy", "locality"}
    alike(plain(scorer(micro_batch_tokens=16).after(edit)), tables)


def test_notes_change_the_scores_of_the_prompts_near_them_alone() -> None:
    notes = Notebook(texts={"Rome": "Rome is a part of Gaul"}, encoder="hashing", count=1, threshold=0.7)
    scorer_of_all = scorer()
    before, after = scorer_of_all.before().tables, scorer_of_all.after(Edit(updates={}, notes=notes))

    def is_near(row: Score) -> bool:
        return row.request_id == "Rome" and row.kind == "efficacy"

    for old, new in zip(before.scores, after.scores, strict=True):
        assert (new.nll == pytest.approx(old.nll, abs=1e-5)) is not is_near(new)
    assert all(row.kl == pytest.approx(0.0, abs=1e-5) for row in after.divergences)
