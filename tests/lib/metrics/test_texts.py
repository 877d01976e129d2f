"""Measures of texts and distributions: hand-worked values, and what is not measured."""

from dataclasses import asdict
from typing import Any, Literal

import polars as pl
import pytest

from lib.core.records import Divergence, Generation
from lib.core.tables import schema
from lib.core.texts import says
from lib.metrics import consistency, scores
from lib.metrics import texts as text_metrics
from lib.metrics.fluency import fluency

FREQUENCIES = consistency.WordWeights(words=("rome", "gaul", "wine"), idf=(1.0, 2.0, 3.0))
EDITS = pl.DataFrame({"request_id": ["a", "b"], "target_new": ["Gaul", "C++"], "references": [["wine of Gaul"], []]})

Kind = Literal["efficacy", "generalization", "generation"]


def texts(*rows: tuple[str, Kind, str], **changed: Any) -> pl.DataFrame:
    """Generations after the edit, from (request_id, kind, text)."""
    generations = [
        Generation(
            request_id=request_id, session=0, when="after", kind=kind, prompt_index=index, prompt="Rome has",
            decoding="sampled" if kind == "generation" else "greedy", text=text, seed=None, truncated=False,
        )
        for index, (request_id, kind, text) in enumerate(rows)
    ]  # fmt: skip
    types = dict.fromkeys(("session", "prompt_index", "seed"), pl.Int64)
    return pl.DataFrame(
        [asdict(generation) | changed for generation in generations],
        schema=schema(Generation).names,
        schema_overrides=types,
    )


@pytest.mark.parametrize(
    ("text", "target", "expected"),
    [
        (" Gaul.", "Gaul", True),
        ("Gaul", " Gaul ", True),
        ("\n Gaul and more", "Gaul", True),
        (" Gaulish", "Gaul", False),
        (" gaul", "Gaul", False),
        (" in Gaul", "Gaul", False),
        (" C++, not C", "C++", True),
        (" C++11", "C++", True),
        (" C", "C++", False),
        (" 1960", "19", False),
        ("巴黎的", "巴黎", True),
        ("", "Gaul", False),
    ],
)
def test_a_text_says_the_target_where_it_begins_with_it_to_the_end_of_a_word(
    text: str, target: str, expected: bool
) -> None:
    assert says(text, target) == expected


def test_exact_match_is_the_share_of_an_edits_prompts_of_a_kind() -> None:
    rows = texts(
        ("a", "efficacy", " Gaul"), ("a", "generalization", " Gaul!"), ("a", "generalization", " wine"),
        ("b", "efficacy", " C"), ("a", "generation", " Gaul"),
    )  # fmt: skip
    measures = text_metrics.of_greedy(rows, EDITS).sort("request_id", "kind")
    assert measures.select("request_id", "kind", "exact_match").rows() == [
        ("a", "efficacy", 100.0), ("a", "generalization", 50.0), ("b", "efficacy", 0.0)
    ]  # fmt: skip


def test_an_edit_took_where_its_text_begins_with_the_object_and_does_not_repeat_itself() -> None:
    rows = texts(
        ("a", "efficacy", " Gaul Gaul"), ("a", "generalization", " Gaul."), ("a", "generalization", " no no no"),
        ("b", "efficacy", " C++ C C C"),
    )  # fmt: skip
    measured = text_metrics.of_greedy(rows, EDITS).sort("request_id", "kind")
    assert measured.select("exact_match", "took", "repetition").rows() == [(100, 0, 0), (50, 50, 50), (100, 0, 100)]
    assert text_metrics.why_not(" Gaul.", "Gaul") is None
    assert text_metrics.why_not(" wine", "Gaul") == "another answer"
    assert text_metrics.why_not(" Gaul Gaul", "Gaul") == "repeats itself"


def test_fluency_and_consistency_are_of_prompt_and_text_together() -> None:
    rows = texts(("a", "generation", " wine"), ("a", "generation", " roads"), ("b", "generation", " wine\n\nand wine"))
    by_request = {
        measures["request_id"]: measures for measures in text_metrics.of_passages(rows, EDITS, FREQUENCIES).to_dicts()
    }
    assert by_request["a"]["fluency"] == pytest.approx(fluency(["Rome has wine", "Rome has roads"]))
    assert by_request["b"]["fluency"] == pytest.approx(fluency(["Rome has wine and wine"]))
    # rome twice and wine once, against wine and gaul: 3 * 3 / (sqrt(4 + 9) sqrt(9 + 4))
    assert by_request["a"]["consistency"] == pytest.approx(100 * 9 / 13)
    assert by_request["b"]["consistency"] is None


def test_kl_is_the_mean_over_an_edits_locality_prompts() -> None:
    rows = [
        Divergence(request_id=edit, session=session, prompt_index=index, prompt="p", kl=kl)
        for edit, session, index, kl in (("a", 0, 0, 1.0), ("a", 0, 1, 3.0), ("b", 0, 0, 0.5), ("a", 1, 0, 7.0))
    ]
    divergences = text_metrics.kl(pl.DataFrame([asdict(row) for row in rows])).sort("session", "request_id")
    assert divergences.select("when", "kind", "session", "request_id", "kl").rows() == [
        ("after", "locality", 0, "a", 2.0), ("after", "locality", 0, "b", 0.5), ("after", "locality", 1, "a", 7.0)
    ]  # fmt: skip


def test_without_texts_nothing_is_measured_and_nothing_fails() -> None:
    records = pl.DataFrame(
        {"when": ["after"], "kind": ["efficacy"], "session": [0], "request_id": ["a"], "success": [1.0]}
    )
    measures = text_metrics.of_run(texts(("a", "efficacy", "")).clear(), _no_divergences(), EDITS, FREQUENCIES)
    combined = scores.joined(records, measures)
    assert combined.to_dicts() == [
        records.row(0, named=True)
        | dict.fromkeys(("exact_match", "took", "repetition", "answered", "fluency", "consistency", "kl"))
    ]


def _no_divergences() -> pl.DataFrame:
    divergence = Divergence(request_id="a", session=0, prompt_index=0, prompt="p", kl=0.0)
    return pl.DataFrame([asdict(divergence)]).clear()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The seat of Rome is Gaul.", True),
        ("gaul", True),
        ("In north Gaul, I think! It rains", True),
        ("Rome is old. Its seat is Gaul.", False),
        ("It is\nGaul", False),
        ("The Gaulish one.", False),
        ("", False),
    ],
)
def test_a_chat_answers_where_its_first_sentence_has_the_object(text: str, expected: bool) -> None:
    assert text_metrics.answers(text, "Gaul") is expected
