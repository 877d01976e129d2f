"""The facts of two edits as one list: contradictions by words, a fact of both once, ids that are free."""

from dataclasses import replace

import pytest

from lib.core.errors import InputError
from lib.handover.together import together
from tests.helpers.small import REQUESTS

FIRST, SECOND = REQUESTS[:2]  # Ada lives in: Rome


@pytest.mark.parametrize("prompt", ["Ada lives in", "ada  lives in:"])
def test_a_prompt_of_the_same_words_with_another_object_is_a_contradiction(prompt: str) -> None:
    later = replace(FIRST, request_id="x", prompt=prompt, target_new="Oslo")
    with pytest.raises(InputError, match="one edit makes it 'Rome', the other 'Oslo'"):
        together([FIRST], [later])


def test_a_fact_that_both_have_stands_once_under_its_first_id() -> None:
    later = replace(FIRST, request_id="x", target_new="rome ")
    joined = together([FIRST], [later, SECOND])
    assert joined.requests == [FIRST, SECOND]
    assert joined.ids == {"x": FIRST.request_id, SECOND.request_id: SECOND.request_id}
    assert joined.repeated == [FIRST.request_id]


def test_another_fact_under_an_id_that_is_taken_gets_a_free_one() -> None:
    later = [replace(SECOND, request_id=FIRST.request_id), replace(REQUESTS[2], request_id=f"{FIRST.request_id}.2")]
    joined = together([FIRST], later)
    assert [request.request_id for request in joined.requests] == ["e0", "e0.2", "e0.2.2"]
    assert joined.ids == {"e0": "e0.2", "e0.2": "e0.2.2"}
    assert joined.repeated == []
