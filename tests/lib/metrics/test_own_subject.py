"""`unchanged` of the locality prompts that are about their edit's own subject."""

from typing import Any

import polars as pl
import pytest

from lib.core.records import Score
from lib.metrics.own_subject import own_subject

EDITS = pl.DataFrame({"request_id": ["a", "b", "c"], "subject": ["France", "the Po", None]})


def score(request_id: str, index: int, prompt: str, when: Any, *argmax: int) -> list[Score]:
    """Of a locality prompt, its own answer and the edit's new object."""
    return [
        Score(
            request_id=request_id, session=0, when=when, kind="locality", prompt_index=index, role=role, prompt=prompt,
            target="x", nll=1.0, tokens=len(argmax), correct=0, argmax=argmax,
        )
        for role in ("true", "new")
    ]  # fmt: skip


def measured(*rows: list[Score]) -> Any:
    return own_subject(EDITS, pl.DataFrame([row for rows_of_prompt in rows for row in rows_of_prompt]).lazy())


def test_prompts_that_name_the_edits_own_subject_count_and_others_do_not() -> None:
    rows = [
        (score("a", 0, "In France people speak", when, 1, 2) for when in ("before", "after")),
        (score("a", 1, "France is in", when, 3 if when == "before" else 4) for when in ("before", "after")),
        (score("a", 2, "Italy is in", when, 3 if when == "before" else 4) for when in ("before", "after")),
        (score("b", 0, "The Po ends in the", when, 5) for when in ("before", "after")),
        (score("c", 0, "In France people speak", when, 5) for when in ("before", "after")),
    ]
    assert measured(*(of_time for of_prompt in rows for of_time in of_prompt)) == {
        "unchanged_own_subject": {
            "n": 2,
            "prompts": 3,
            "after": 75.0,
            "ci95": pytest.approx(1.96 * 25 / 2**0.5, abs=1e-3),
        }
    }


def test_there_is_no_section_where_no_prompt_names_the_subject() -> None:
    assert measured(score("a", 0, "Italy is in", "before", 1), score("a", 0, "Italy is in", "after", 1)) == {}
    assert measured(score("a", 0, "France is in", "before", 1), score("b", 0, "The Po is", "before", 1)) == {}
