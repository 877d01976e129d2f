"""The check of edits: contradictions, duplicates, targets that change nothing, subjects that are not there."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lib.core.params import Facts, Own
from lib.core.records import Request
from lib.data.dataset import Loaded, check
from lib.data.edits import checked, checked_in_full
from lib.datasets import counterfact, easyedit
from lib.datasets import own as own_facts
from tests.helpers.datasets import dataset_preset

EDIT = Request(
    request_id="1", dataset="own", subject="X", relation=None, prompt="The capital of X is", template=None,
    target_new="Rome", target_true="Oslo",
)  # fmt: skip


def loaded(*changes: dict[str, Any]) -> Loaded:
    """Edits that differ from EDIT in `changes`, one a line from line 2 on."""
    edits = [replace(EDIT, request_id=str(number), **values) for number, values in enumerate(changes)]
    lines = {edit.request_id: ("facts.csv", number) for number, edit in enumerate(edits, start=2)}
    return Loaded(requests=edits, pool=[], text=[], rejects=[], rows_of={"facts.csv": len(edits)}, lines=lines)


def rejects(data: Loaded) -> list[tuple[int, str, str]]:
    return [(reject.line, reject.field, reject.reason) for reject in checked(data).loaded.rejects]


@pytest.mark.parametrize(
    "prompt", ["The capital of  X is", "The capital of X is:", "the capital of X is", "The capital of X is …"]
)
def test_edits_that_contradict_each_other_are_both_rejects_and_both_are_named(prompt: str) -> None:
    expected = "wanted one target for a prompt, or for a subject and its relation; found "
    data = loaded({}, {"prompt": prompt, "target_new": "Paris"}, {"prompt": "X lies in"})
    assert rejects(data) == [
        (2, "target_new", f"{expected}'Rome' here, 'Paris' on line 3"),
        (3, "target_new", f"{expected}'Paris' here, 'Rome' on line 2"),
    ]
    assert [edit.prompt for edit in checked(data).loaded.requests] == ["X lies in"]
    assert checked(data).faults["contradictions"] == 2


def test_so_are_edits_of_one_subject_and_relation() -> None:
    data = loaded({"relation": "P36"}, {"relation": "P36", "prompt": "X has the capital", "target_new": "Bonn"})
    assert [line for line, *_ in rejects(data)] == [2, 3]
    assert rejects(loaded({"relation": "P36"}, {"relation": "P7", "prompt": "X has", "target_new": "Bonn"})) == []
    assert rejects(loaded({"relation": "P36"}, {"relation": "P36", "prompt": "X has the capital"})) == []


@pytest.mark.parametrize(("new", "true"), [("Rome", "Rome"), ("rome", "Rome"), ("Rome", "Rome."), ("रोम", "रोम ")])
def test_a_target_that_is_the_true_one_is_a_reject(new: str, true: str) -> None:
    expected = f"wanted a new target that is not the true one; found {new!r} and {true!r}"
    assert rejects(loaded({"target_new": new, "target_true": true})) == [(2, "target_new", expected)]


@pytest.mark.parametrize(("new", "true"), [("राम", "रोम"), ("C++", "C#"), ("A+", "A-"), ("-5", "5"), ("Rome", None)])
def test_targets_that_differ_in_a_mark_or_a_sign_are_two(new: str, true: str | None) -> None:
    assert rejects(loaded({"target_new": new, "target_true": true})) == []


def test_an_edit_that_is_there_twice_is_made_once_and_does_not_count_against_the_file(tmp_path: Path) -> None:
    data = checked(loaded({}, {"prompt": "the capital of X is", "target_new": "ROME"}, {"prompt": "X lies in"}))
    assert [edit.request_id for edit in data.loaded.requests] == ["0", "2"]
    assert [(reject.line, reject.reason) for reject in data.loaded.rejects] == [
        (3, "duplicate; found the edit of line 2")
    ]
    assert data.faults["duplicates"] == 1
    check(data.loaded, 0.0, tmp_path)


def test_a_subject_that_is_not_in_its_prompt_is_a_reject_and_one_in_another_case_is_spelled_as_there() -> None:
    expected = "wanted the subject in the prompt, as it is written there; found 'Y' and 'The capital of X is'"
    assert rejects(loaded({"subject": "Y"})) == [(2, "subject", expected)]
    (edit,) = checked(loaded({"subject": "x"})).loaded.requests
    assert (edit.subject, edit.template) == ("X", "The capital of {} is")


def test_of_several_subjects_the_one_that_is_taken_is_told(caplog: pytest.LogCaptureFixture) -> None:
    prompt = "JavaScript was inspired by Java, which was created by"
    with caplog.at_level("INFO"):
        data = checked(loaded({"subject": "Java", "prompt": prompt}))
    assert data.subjects_repeated == 1
    assert data.loaded.requests[0].subject_start == 27
    assert "'Java' stands 2 times" in caplog.text
    assert "the one at character 27" in caplog.text


def test_the_check_is_the_same_for_every_dataset(facts: Facts, own: Own, as_json: Callable[..., Path]) -> None:
    flat = [{"subject": "X", "prompt": "The capital of X is", "target_new": target} for target in ("Rome", "Oslo")]
    rewrites = [
        {"case_id": number, "paraphrase_prompts": [], "neighborhood_prompts": [], "generation_prompts": [],
         "requested_rewrite": {"prompt": "The capital of {} is", "relation_id": "P1", "subject": "X",
                               "target_new": {"str": target, "id": "Q1"}, "target_true": {"str": "Bonn", "id": "Q2"}}}
        for number, target in enumerate(("Rome", "Oslo"))
    ]  # fmt: skip
    rows = as_json([], "facts.csv")
    rows.write_text("prompt,target_new\nThe capital of X is,Rome\nThe capital of X is:,Oslo\n")
    for module, role, path in (
        (easyedit, "facts", as_json(flat, "flat.json")), (counterfact, "facts", as_json(rewrites, "rewrites.json")),
        (own_facts, "own", rows),
    ):  # fmt: skip
        name = module.__name__.rpartition(".")[2]
        data = checked(module.load({role: path}, facts, dataset_preset(name, "accuracy"), own))
        first = 2 if module is own_facts else 1
        assert [(reject.file, reject.line) for reject in data.loaded.rejects] == [
            (path.name, first), (path.name, first + 1)
        ]  # fmt: skip
        assert data.loaded.requests == []


def test_the_next_records_take_the_place_of_rejects(facts: Facts, caplog: pytest.LogCaptureFixture) -> None:
    """Two that contradict each other, one that is there already, and one that changes nothing, of nine records."""
    records = [
        {}, {"target_new": "Paris"}, {"prompt": "X A"}, {"prompt": "X A"}, {"prompt": "X B", "target_new": "Oslo"},
        *({"prompt": f"X {letter}"} for letter in "CDEF"),
    ]  # fmt: skip
    limits = []

    def load(limited: Facts) -> Loaded:
        limits.append(limited.edits)
        return loaded(*records[: limited.edits])

    check = checked_in_full(load, facts.model_copy(update={"limit": 3}))
    assert [edit.prompt for edit in check.loaded.requests] == ["X A", "X C", "X D"]
    assert limits == [3, 5, 7]
    assert check.faults == {"subjects_absent": 0, "same_targets": 1, "contradictions": 2, "duplicates": 1}
    with caplog.at_level("INFO"):
        check = checked_in_full(load, facts.model_copy(update={"limit": 7}))
    assert [edit.prompt for edit in check.loaded.requests] == [f"X {letter}" for letter in "ACDEF"]
    assert "facts.limit=7: 2 edits fewer, no record is left for them" in caplog.text


@pytest.mark.data
def test_memits_first_records_of_counterfact_have_no_contradiction_left(real_data: Path, facts: Facts) -> None:
    limited = facts.model_copy(update={"limit": 760})
    preset = dataset_preset("counterfact", "success")
    data = counterfact.load({"facts": real_data / "counterfact.json"}, limited, preset, Own(path="", pool="none"))
    assert len(data.requests) == 760
    assert checked(data).faults["contradictions"] == 2
