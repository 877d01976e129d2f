"""Scores of an edit with a scope: those of the edited model inside, those of the unedited one outside."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from lib.core.params import ScopeSettings
from lib.core.records import Request
from lib.edits.edit import Edit
from lib.edits.notes import Notebook
from lib.edits.scope import Scope, scope_of
from lib.edits.scope_classifier import ScopeClassifier
from lib.models.check import reading_of
from lib.models.hooks import hooked
from lib.scoring.tables import ScoreTables
from tests.lib.scoring.test_scorer import edit, requests, scorer

INSIDE = partial(scope_of, settings=ScopeSettings(encoder="hashing", threshold=0.7))


@pytest.mark.parametrize("with_unedited", [True, False])
def test_a_prompt_out_of_scope_has_the_rows_of_the_unedited_model(with_unedited: bool) -> None:
    unedited = scorer().before()
    scoped = replace(scorer(), scope=INSIDE, unedited=(lambda: unedited) if with_unedited else None)
    tables, everywhere = scoped.after(edit(), 4), scorer().after(edit(), 4)
    outside = unedited.tables.unchanged(requests(), 4, texts=True)
    classifier = classifier_of(requests())
    counts = {True: 0, False: 0}
    for name in ("scores", "generations", "divergences"):
        rows = zip(*(getattr(of, name) for of in (tables, everywhere, outside)), strict=True)
        for row, edited_row, unedited_row in rows:
            inside = classifier.holds(row.prompt)
            counts[inside] += 1
            assert row == (near(edited_row, row) if inside else unedited_row)
    assert min(counts.values()) > 5
    assert {row.kl for row in tables.divergences if not classifier.holds(row.prompt)} == {0.0}


def near(expected: Any, row: Any) -> Any:
    """`expected`, its likelihood that of `row` where they are equal to rounding: other prompts share the passes."""
    for name in ("nll", "kl"):
        if hasattr(expected, name):
            assert getattr(row, name) == pytest.approx(getattr(expected, name), rel=1e-4, abs=1e-5)
            expected = replace(expected, **{name: getattr(row, name)})
    return expected


def classifier_of(scoped_requests: Sequence[Request]) -> ScopeClassifier:
    return ScopeClassifier(scope=INSIDE(scoped_requests))


def test_how_many_prompts_of_each_kind_are_in_scope_is_told() -> None:
    counts: dict[str, tuple[int, int]] = {}
    replace(scorer(), scope=INSIDE, tell_scope=counts.update).after(edit(), texts=False)
    classifier = classifier_of(requests())
    locality = [prompt.prompt for request in requests() for prompt in request.locality]
    assert counts["efficacy"] == (5, 5)
    assert counts["locality"] == (sum(map(classifier.holds, locality)), 10)


def test_where_nothing_is_inside_the_model_is_not_asked() -> None:
    unedited = scorer().before()
    passes: list[int] = []
    scope = Scope(prompts={"x": ["quite another matter"]}, encoder="hashing", threshold=0.99)
    scoped = replace(scorer(), unedited=lambda: unedited)
    reading_of(scoped.model)  # found out by passes, once a model
    with hooked(scoped.model.base_model, lambda *_: passes.append(1)):
        tables = scoped.after(replace(edit(), scope=scope))
    assert passes == []
    assert tables == unedited.tables.unchanged(requests(), 0, texts=True)


def test_a_single_edit_is_in_force_near_its_own_fact_and_one_without_weights_everywhere() -> None:
    alone = replace(scorer(scored_requests=requests()[1:2]), scope=INSIDE).after(edit())
    assert {row.kl > 0 for row in alone.divergences} <= {True, False}
    assert {row.request_id for row in alone.scores} == {"Oslo"}
    notes = Notebook(texts={"Rome": "Rome is a part of Gaul"}, encoder="hashing", count=1, threshold=-1.0)
    by_notes = Edit(updates={}, notes=notes)
    assert replace(scorer(), scope=INSIDE).after(by_notes) == scorer().after(by_notes)


def test_rows_are_put_in_the_place_of_the_same_prompts() -> None:
    tables = scorer().after(edit())
    part = ScoreTables(
        scores=[replace(tables.scores[3], nll=9.0)], divergences=[replace(tables.divergences[1], kl=7.0)]
    )
    merged = tables.with_rows(part)
    assert [index for index, row in enumerate(merged.scores) if row.nll == 9.0] == [3]
    assert [index for index, row in enumerate(merged.divergences) if row.kl == 7.0] == [1]
    assert merged.generations == tables.generations
