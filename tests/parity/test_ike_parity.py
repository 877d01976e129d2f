"""The texts of in-context editing against those of the IKE release and of EasyEdit, to the letter."""

from random import Random
from typing import Any

import pytest

from lib.editors.ike import FactTexts, Kind, bank, demonstration, nearest_last, preamble
from tests.parity.editing import requests
from tests.parity.reference import document

STORED = document("ike")
KINDS: tuple[Kind, ...] = ("copy", "update", "retain")


def lessons() -> list[FactTexts]:
    """What the originals show of each of the twelve records."""
    lessons = []
    for record in document("inputs/counterfact_requests"):
        rewrite = record["requested_rewrite"]
        new, true = rewrite["target_new"]["str"], rewrite["target_true"]["str"]
        lessons.append(
            FactTexts(
                fact=f"{rewrite['prompt'].replace('{}', rewrite['subject'])} {new}",
                updates=tuple(f"{paraphrase} {new}" for paraphrase in record["paraphrase_prompts"]),
                retains=tuple(f"{neighbor} {true}" for neighbor in record["neighborhood_prompts"]),
            )
        )
    return lessons


def shown(name: str, prompt: dict[str, Any]) -> list[str]:
    """The demonstrations of one of the originals' prompts."""
    all_lessons = lessons()
    if name.startswith("easyedit"):
        searched = bank(all_lessons[2:])
        return [searched[index] for index in prompt["retrieved_bank_indices"]]
    order, choose = list(STORED["order"]), lambda texts: texts[0]
    if "seeded" in name:
        random = Random(42)
        random.shuffle(order)
        choose = random.choice
    used = [all_lessons[index] for index in prompt["demo_record_indices"]]
    return nearest_last(used, [KINDS[index] for index in order], choose)


def text(name: str, prompt: dict[str, Any]) -> str:
    return preamble(lessons()[prompt["case_id"]].fact, shown(name, prompt), copy=not name.startswith("easyedit"))


@pytest.mark.parametrize("name", STORED["prompts"])
def test_the_text_before_a_prompt_is_the_originals(name: str) -> None:
    prompt = STORED["prompts"][name]
    assert text(name, prompt) + lessons()[prompt["case_id"]].fact == prompt["rewrite_input"]


@pytest.mark.parametrize("name", STORED["prompts"])
def test_every_text_of_the_originals_is_made(name: str) -> None:
    """What the originals' other texts have after what theirs for the edit's prompt begins with."""
    prompt = STORED["prompts"][name]
    own = lessons()[prompt["case_id"]]
    if name.startswith("easyedit"):
        assert bank(lessons()[2:]) == STORED["easyedit_bank"]
        assert shown(name, prompt) == prompt["icl_examples"]
        assert own.updates[0] == prompt["rephrase_input"]
        assert own.retains[0] == prompt["locality_input_post"]
        assert demonstration(own.fact, requests()[prompt["case_id"]].prompt) == prompt["retrieval_query"]
        return
    assert [*shown(name, prompt), demonstration(own.fact, own.fact)] == prompt["icl_examples"]
    assert list(own.updates) == prompt["paraphrase_inputs"]
    stored = prompt["neighborhood_inputs_target_true"]
    assert list(own.retains[: len(stored)]) == stored
