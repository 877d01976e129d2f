"""Means, intervals and scores equal those of the ROME and MEMIT releases on the same per-prompt values."""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from statistics import harmonic_mean
from typing import Any

import polars as pl
import pytest

from lib.core.records import Kind, Score, When
from lib.metrics import scores, summaries

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "metrics.json").read_text())
MEASURES = {"success": "success", "diff": "magnitude", "acc": "accuracy"}
"""Their names of the measures, and ours."""
HALF_A_HUNDREDTH = 0.005001
"""What rounding to two decimals may take away: theirs are rounded before (CounterFact) or after (ZsRE) the score."""

pytestmark = pytest.mark.parametrize("model", sorted(GOLDEN))
whens = pytest.mark.parametrize("when", scores.WHENS)


@whens
def test_counterfact_means_intervals_and_per_record_values_are_those_of_the_originals(model: str, when: When) -> None:
    records = scores.per_record(_frame(_counterfact(GOLDEN[model]["counterfact"])))
    for name, expected in GOLDEN[model]["expected"]["counterfact"][when].items():
        if name != "score":
            kind, measure = name.split("_")
            _assert_equal(records, when, kind, MEASURES[measure], expected)


@whens
def test_zsre_accuracy_is_the_originals_with_the_interval_and_per_record_values(model: str, when: When) -> None:
    records = scores.per_record(_frame(_zsre(GOLDEN[model]["zsre"])))
    for name, expected in GOLDEN[model]["expected"]["zsre"][when].items():
        if name != "score":
            _assert_equal(records, when, name.split("_")[0], "token_accuracy", expected)


@whens
def test_scores_are_those_of_the_originals(model: str, when: When) -> None:
    counterfact = scores.per_record(_frame(_counterfact(GOLDEN[model]["counterfact"])))
    zsre = scores.per_record(_frame(_zsre(GOLDEN[model]["zsre"])))
    expected = {name: values[when]["score"]["mean"] for name, values in GOLDEN[model]["expected"].items()}
    assert _score(counterfact, when, "success") == pytest.approx(expected["counterfact"], abs=HALF_A_HUNDREDTH)
    assert _score(zsre, when, "token_accuracy") == pytest.approx(expected["zsre"], abs=HALF_A_HUNDREDTH)


@whens
def test_the_counterfact_score_is_exactly_the_originals_once_means_are_rounded_first_as_there(
    model: str, when: When
) -> None:
    records = scores.per_record(_frame(_counterfact(GOLDEN[model]["counterfact"]))).filter(pl.col("when") == when)
    means = [summaries.summary(records.filter(pl.col("kind") == kind), "success") for kind in scores.KINDS]
    rounded = [round(mean.mean, 2) for mean in means if mean is not None]
    expected = GOLDEN[model]["expected"]["counterfact"][when]["score"]["mean"]
    assert harmonic_mean(rounded) == pytest.approx(expected, abs=1e-9)


def _score(records: pl.DataFrame, when: When, measure: str) -> float:
    score = summaries.score(records.filter(pl.col("when") == when), measure)
    assert score is not None
    return score.mean


def _assert_equal(records: pl.DataFrame, when: When, kind: str, measure: str, expected: Any) -> None:
    rows = records.filter((pl.col("when") == when) & (pl.col("kind") == kind))
    summary = summaries.summary(rows, measure)
    assert summary is not None
    assert summary.n == expected["n"]
    assert summary.mean == pytest.approx(expected["mean"], abs=1e-9)
    assert summary.ci95 == pytest.approx(expected["ci95"], abs=1e-9)
    assert summary.ci95 * math.sqrt(summary.n) / 1.96 == pytest.approx(expected["std"], abs=1e-9)
    assert rows[measure].to_list() == pytest.approx(expected["per_record"], abs=1e-9)


def _counterfact(times: Any) -> Iterator[Score]:
    """Their NLL is per token already, so a target counts as one token."""
    for when, case, kind, index, (new, true, correct) in _prompts(times):
        for role, nll in (("new", new), ("true", true)):
            is_target = (role == "true") == (kind == "locality")
            yield _row(when, case, kind, index, role, nll=nll, tokens=1, correct=correct if is_target else 0)


def _zsre(times: Any) -> Iterator[Score]:
    """They list whether each target token of a record's one prompt of a kind is the argmax; no NLL is kept."""
    for when, cases in times.items():
        for case, kinds in cases.items():
            for kind, flags in kinds.items():
                role = "true" if kind == "locality" else "new"
                yield _row(when, case, kind, 0, role, nll=0.0, tokens=len(flags), correct=sum(flags))


def _prompts(times: Any) -> Iterator[Any]:
    for when, cases in times.items():
        for case, kinds in cases.items():
            for kind, prompts in kinds.items():
                for index, values in enumerate(prompts):
                    yield when, case, kind, index, values


def _row(when: When, case: str, kind: Kind, index: int, role: Any, *, nll: float, tokens: int, correct: int) -> Score:
    return Score(
        request_id=f"{int(case):02}",
        session=0,
        when=when,
        kind=kind,
        prompt_index=index,
        role=role,
        prompt="",
        target="",
        nll=nll,
        tokens=tokens,
        correct=correct,
        argmax=(0,) * tokens,
    )


def _frame(rows: Iterator[Score]) -> pl.LazyFrame:
    return pl.LazyFrame([asdict(row) for row in rows])
