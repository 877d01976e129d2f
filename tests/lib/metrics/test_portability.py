"""Portability: any right answer counts; means over an edit's questions, then over edits; nothing without a question."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lib.core.implied import ImpliedKind, ImpliedQuestion
from lib.core.records import Generation, Request, Score
from lib.core.tables import write
from lib.metrics.portability import is_right, questions, sections


def asked(kind: ImpliedKind, *answers: str, prompt: str = "Who?", requires: tuple[str, ...] = ()) -> ImpliedQuestion:
    return ImpliedQuestion(kind=kind, prompt=prompt, answers=answers, requires=requires)


def request(request_id: str, *implied: ImpliedQuestion) -> Request:
    return Request(
        request_id=request_id, dataset="own", subject=None, relation=None, prompt="Rome lies in", template=None,
        target_new="Gaul", target_true=None, implied=implied,
    )  # fmt: skip


def text(request_id: str, when: Any, index: int, written: str, kind: Any = "implied") -> Generation:
    return Generation(
        request_id=request_id, session=0, when=when, kind=kind, prompt_index=index, decoding="greedy", prompt="Who?",
        text=written, seed=None, truncated=False,
    )  # fmt: skip


def forced(request_id: str, when: Any, index: int, correct: int) -> Score:
    return Score(
        request_id=request_id, session=0, when=when, kind="implied", prompt_index=index, role="new", prompt="Who?",
        target="Bo", nll=1.0, tokens=4, correct=correct, argmax=(1, 2, 3, 4),
    )  # fmt: skip


@pytest.fixture
def measured(tmp_path: Path) -> Any:
    def measure(requests: Sequence[Request], texts: Sequence[Generation], scores: Sequence[Score] = ()) -> Any:
        for name, kind, rows in (("r", Request, requests), ("g", Generation, texts), ("s", Score, scores)):
            write(tmp_path / name, kind, rows)
        return sections(questions(tmp_path / "r"), pl.read_parquet(tmp_path / "g"), pl.scan_parquet(tmp_path / "s"))

    return measure


def test_any_answer_counts_and_an_edit_is_the_mean_of_its_questions(measured: Any) -> None:
    a = request("a", asked("two_hops", "Bo", "King Bo"), asked("two_hops", "Cy", prompt="Who then?"))
    b = request("b", asked("two_hops", "Al"), asked("same_subject", "Ur", prompt="Where?"))
    texts = [
        text("a", "before", 0, " Al"), text("a", "before", 1, " Al"),
        text("b", "before", 0, " Al."), text("b", "before", 1, " Ur"),
        text("a", "after", 0, " King Bo"), text("a", "after", 1, " Cyrus"),
        text("b", "after", 0, " Al, who"), text("b", "after", 1, " Ulm"),
    ]  # fmt: skip
    values = measured([a, b], texts)
    assert values == {
        "portability": {"two_hops": {"n": 2, "questions": 3, "before": 50.0, "after": 75.0, "ci95": 34.6482}},
        "locality_related": {"same_subject": {"n": 1, "questions": 1, "before": 100.0, "after": 0.0, "ci95": 0.0}},
    }  # 1.96 * 25 / sqrt(2)


def test_an_answer_in_a_chat_is_right_where_its_first_sentence_has_it(measured: Any) -> None:
    a = request("a", asked("alias", "Gaul"), asked("alias", "Ulm", prompt="Where?"))
    texts = [
        text("a", "after", 0, "The old town lies in Gaul.", "implied_chat"),
        text("a", "after", 1, "I do not know. Ulm", "implied_chat"),
    ]
    (entry,) = measured([a], texts)["portability"].values()
    assert (entry["before"], entry["after"]) == (None, 50.0)


@pytest.mark.parametrize(
    ("text", "accepted", "right"),
    [
        ("I think it is Greek.", ("Italian", "it"), False),
        ("it", ("Italian", "it"), False),
        ("He lives in the UK.", ("United Kingdom", "UK"), True),
        ("They told us so.", ("United States", "US"), False),
        ("他住在法国。", ("France", "法国"), True),
        ("It is O.", ("O",), True),
    ],
)
def test_other_names_of_two_letters_count_as_they_are_written_and_codes_do_not(
    text: str, accepted: tuple[str, ...], right: bool
) -> None:
    assert is_right(text, accepted, in_chat=True) == right


def test_teacher_forced_is_the_share_of_the_first_answers_tokens_whether_or_not_texts_were_written(
    measured: Any,
) -> None:
    a = request("a", asked("reversed", "Bo"))
    entry = measured([a], [], [forced("a", "before", 0, 1), forced("a", "after", 0, 3)])["portability"]["reversed"]
    assert entry == {"teacher_forced": {"n": 1, "questions": 1, "before": 25.0, "after": 75.0, "ci95": 0.0}}


def test_without_questions_there_is_no_section(measured: Any) -> None:
    assert measured([request("a")], [text("a", "after", 0, " Gaul", "efficacy")]) == {}


def test_a_question_counts_where_the_unedited_model_answers_every_condition_of_it_rightly(measured: Any) -> None:
    """Of two tests with conditions the first counts; that the edited model lost the condition does not matter."""
    a = request(
        "a",
        asked("two_hops", "Bo", requires=("Where?", "When?")),
        asked("two_hops", "Cy", prompt="Who then?", requires=("Where?", "Why?")),
        asked("alias", "Bonn", prompt="Home?"),
        asked("condition", "Ulm", prompt="Where?"),
        asked("condition", "1900", prompt="When?"),
        asked("condition", "War", prompt="Why?"),
    )
    before = [" Al", " Cy", " Bonn", " Ulm", " 1900", " Peace"]
    after = [" Bo", " Al", " Bonn", " Rome", " Rome", " War"]
    texts = [text("a", "before", index, written) for index, written in enumerate(before)]
    texts += [text("a", "after", index, written) for index, written in enumerate(after)]
    assert measured([a], texts) == {
        "portability": {
            "alias": {"n": 1, "questions": 1, "before": 100.0, "after": 100.0, "ci95": 0.0},
            "two_hops": {"n": 1, "questions": 1, "left_out": 1, "before": 0.0, "after": 100.0, "ci95": 0.0},
        }
    }


def test_a_condition_with_several_answers_needs_all_of_them_and_one_that_was_not_asked_does_not_hold(
    measured: Any,
) -> None:
    towns = (asked("condition", "Ulm", prompt="Where?"), asked("condition", "Rome", prompt="Where?"))
    a = request("a", asked("alias", "Bo", requires=("Where?",)), *towns)
    b = request("b", asked("alias", "Bo", requires=("Elsewhere?",)))
    texts = [text(name, when, 0, " Bo") for name in "ab" for when in ("before", "after")]
    texts += [text("a", "before", 1, " Ulm"), text("a", "before", 2, " Ulm")]
    (entry,) = measured([a, b], texts)["portability"].values()
    assert entry == {"n": 0, "questions": 0, "left_out": 2, "before": None, "after": None, "ci95": None}


def test_teacher_forced_a_condition_holds_where_every_token_of_its_answer_is_the_argmax(measured: Any) -> None:
    a = request("a", asked("alias", "Bo", requires=("Where?",)), asked("condition", "Ulm", prompt="Where?"))
    for correct, counts in ((4, 1), (3, 0)):
        scores = [forced("a", "before", 0, 1), forced("a", "after", 0, 3), forced("a", "before", 1, correct)]
        entry = measured([a], [], scores)["portability"]["alias"]["teacher_forced"]
        assert (entry["questions"], entry["left_out"]) == (counts, 1 - counts)
