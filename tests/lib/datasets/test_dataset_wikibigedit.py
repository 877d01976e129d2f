"""WikiBigEdit: the release's names and the flat ones, multi-hop questions, a pool of locality questions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib.core.params import Facts, Own
from lib.data import edits
from lib.datasets import load
from tests.helpers.datasets import dataset_preset

PRESET = dataset_preset("wikibigedit", "accuracy")
RELEASED = {
    "tag": "new", "subject": "Ada King", "update": "Where does Ada King live?", "ans": "Bonn",
    "rephrase": "What is Ada King's home?", "personas": "Ada King lives where, mate?", "loc": "Where does Bo live?",
    "loc_ans": "Ulm", "mhop": "Who is the mayor of Ada King's home?", "mhop_ans": "Cy",
}  # fmt: skip
FLAT = {
    "subject": "Ada King", "prompt": "Where does Ada King live?", "target_new": "Bonn",
    "rephrase_prompt": "What is Ada King's home?", "locality_prompt": "Where does Bo live?",
    "locality_ground_truth": "Ulm",
}  # fmt: skip


@pytest.fixture
def read(as_json: Callable[..., Path], facts: Facts, own: Own) -> Callable[..., Any]:
    def read(*records: Any, limit: int | None = None) -> Any:
        files = {"facts": as_json([*records])}
        return load("wikibigedit", files, facts.model_copy(update={"limit": limit}), PRESET, own)

    return read


def test_both_schemas_give_the_same_edit_but_for_what_the_flat_one_lacks(read: Callable[..., Any]) -> None:
    released, flat = read(RELEASED, FLAT).requests
    for edit in (released, flat):
        assert (edit.prompt, edit.target_new, edit.subject) == ("Where does Ada King live?", "Bonn", "Ada King")
        assert edit.template == "Where does {} live?"
        assert [(locality.prompt, locality.target) for locality in edit.locality] == [("Where does Bo live?", "Ulm")]
    assert released.paraphrases == (*flat.paraphrases, "Ada King lives where, mate?")
    assert [(question.kind, question.answers) for question in released.implied] == [("two_hops", ("Cy",))]
    assert flat.implied == ()


def test_the_pool_is_the_locality_questions_of_the_other_records(read: Callable[..., Any]) -> None:
    (fact,) = read(RELEASED, {**FLAT, "locality_prompt": "Where does Cy live?"}, limit=1).pool
    assert (fact.prompt, fact.target, fact.subject) == ("Where does Cy live?", "Ulm", None)


def test_a_record_without_an_answer_is_a_reject(read: Callable[..., Any]) -> None:
    assert [reject.field for reject in read(RELEASED, {**RELEASED, "ans": " "}).rejects] == ["ans"]


def test_a_record_whose_number_is_anothers_case_id_is_a_reject(read: Callable[..., Any]) -> None:
    """The fault: both were edits of one id."""
    data = read({**FLAT, "case_id": 1}, {**RELEASED, "update": "Where does Ada King work?"})
    assert [request.request_id for request in data.requests] == ["1"]
    assert [(reject.line, reject.field) for reject in data.rejects] == [(2, "case_id")]


@pytest.mark.data
def test_the_real_records_are_read_and_have_their_subject(real_data: Path, facts: Facts, own: Own) -> None:
    check = edits.checked(load("wikibigedit", {"facts": real_data / "wikibigedit_2k.json"}, facts, PRESET, own))
    assert len(check.loaded.requests) + len(check.loaded.rejects) == 2000
    assert len(check.loaded.rejects) < 100
