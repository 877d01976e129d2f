"""Two edits are scored together: contradictions by the words of prompts and objects, ids that are free."""

from dataclasses import replace

import pytest

from lib.core.errors import InputError
from lib.handover.judging import scored_together
from tests.helpers.small import REQUESTS

FIRST = REQUESTS[0]  # Ada lives in: Rome


@pytest.mark.parametrize("prompt", ["Ada lives in", "ada  lives in:"])
def test_a_prompt_of_the_same_words_with_another_object_is_a_contradiction(prompt: str) -> None:
    later = replace(FIRST, request_id="x", prompt=prompt, target_new="Oslo")
    with pytest.raises(InputError, match="one edit makes it 'Rome', the other 'Oslo'"):
        scored_together([FIRST], [later])


def test_an_object_of_the_same_words_is_none_and_its_id_is_free() -> None:
    later = replace(FIRST, target_new="rome ")
    assert [request.request_id for request in scored_together([FIRST], [later])] == ["e0", "e0.2"]
