"""Records as EasyEdit and KnowEdit write them: flat, with locality flat, in lists of aliases, or flattened."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib.core.params import Facts, Own
from lib.core.records import Fact, LocalityPrompt, Reject, Request
from lib.datasets.easyedit import load
from tests.helpers.datasets import dataset_preset

PRESET = dataset_preset("easyedit", "success")
FLAT = {
    "case_id": 7,
    "prompt": "Ada King was born in",
    "target_new": "Rome",
    "subject": "Ada King",
    "ground_truth": "London",
    "rephrase_prompt": "The cradle of Ada King stood in",
    "locality_prompt": "Bo Li was born in",
    "locality_ground_truth": "Oslo",
}


def nested(locality: Any) -> dict[str, Any]:
    return {"subject": "Ada King", "prompt": "Ada King lives in", "target_new": "Rome", "locality": locality}


@pytest.fixture
def read(as_json: Callable[..., Path], facts: Facts, own: Own) -> Callable[..., tuple[list[Request], list[Reject]]]:
    def read(*records: dict[str, Any]) -> tuple[list[Request], list[Reject]]:
        loaded = load({"facts": as_json(list(records))}, facts, PRESET, own)
        return loaded.requests, loaded.rejects

    return read


def test_a_flat_record_is_an_edit_with_one_paraphrase_and_one_locality_prompt(read: Callable[..., Any]) -> None:
    assert read(FLAT) == (
        [
            Request(
                request_id="7",
                dataset="easyedit",
                subject="Ada King",
                relation=None,
                prompt="Ada King was born in",
                template="{} was born in",
                target_new="Rome",
                target_true="London",
                paraphrases=("The cradle of Ada King stood in",),
                locality=(LocalityPrompt(prompt="Bo Li was born in", target="Oslo"),),
            )
        ],
        [],
    )


ALIASES = {
    "Relation_Specificity": [
        {"prompt": "Ada King's father is", "ground_truth": [["Al King", "Albert King"], ["Bo King"]]},
        {"prompt": "Ada King's trade is", "ground_truth": [["baker"]]},
    ],
    "Forgetfulness": [{"prompt": "Ada King also lived in", "ground_truth": [["Bonn"]]}],
}
FLATTENED = {
    "Relation_Specificity": {
        "prompt": ["Ada King's father is", "Ada King's trade is", "Ada King's father is"],
        "ground_truth": ["Al King", "baker", "Bo King"],
    },
    "Forgetfulness": {"prompt": "Ada King also lived in", "ground_truth": "Bonn"},
}


@pytest.mark.parametrize("locality", [ALIASES, FLATTENED])
def test_both_released_forms_of_locality_give_the_first_alias_of_the_first_answer(
    locality: Any, read: Callable[..., Any]
) -> None:
    (edit,), rejects = read(nested(locality))
    assert [(locality.prompt, locality.target) for locality in edit.locality] == [
        ("Ada King's father is", "Al King"),
        ("Ada King's trade is", "baker"),
        ("Ada King also lived in", "Bonn"),
    ]
    assert (edit.request_id, edit.target_true, edit.paraphrases, rejects) == ("0", None, (), [])


def test_the_other_names_of_fields_and_lists_of_answers_are_read(read: Callable[..., Any]) -> None:
    record = {"concept": "Ada", "text": "Ada was", "labels": "a baker", "ground_truth": [["a poet", "poet"]]}
    (edit,), _ = read({**record, "rephrase_prompt": ["Ada had been", "Ada, who was"]})
    assert (edit.subject, edit.prompt, edit.target_new, edit.target_true) == ("Ada", "Ada was", "a baker", "a poet")
    assert edit.paraphrases == ("Ada had been", "Ada, who was")


@pytest.mark.parametrize(
    ("spoiled", "field", "reason"),
    [
        ({**FLAT, "target_new": ""}, "target_new", "empty"),
        ({**FLAT, "prompt": None}, "prompt", "absent"),
        ({**FLAT, "locality_ground_truth": []}, "locality_ground_truth", "wanted text; found []"),
        (nested({"a": ["b"]}), "locality.a", "wanted records of prompt and ground_truth; found 'b'"),
        (nested({"a": [{"prompt": "x", "ground_truth": [[" "]]}]}), "locality.a[0].ground_truth", "empty"),
        (
            nested({"a": {"prompt": ["x", "y"], "ground_truth": ["z"]}}),
            "locality.a[0]",
            "wanted a prompt with its answers, or as many answers as prompts; "
            "found {'prompt': ['x', 'y'], 'ground_truth': ['z']}",
        ),
        ({**FLAT, "case_id": 3}, "case_id", "wanted a key of its own; found '3' on line 1 already"),
    ],
)
def test_a_malformed_record_is_a_reject_with_its_field(
    spoiled: dict[str, Any], field: str, reason: str, read: Callable[..., Any]
) -> None:
    edits, rejects = read({**FLAT, "case_id": 3}, spoiled)
    assert rejects == [Reject(file="facts.json", line=2, field=field, reason=reason)]
    assert len(edits) == 1


def test_the_pool_is_the_true_facts_of_the_records_that_are_not_edited(
    as_json: Callable[..., Path], facts: Facts, own: Own
) -> None:
    records = [FLAT, {**FLAT, "case_id": 8, "ground_truth": "Bonn"}, {**FLAT, "case_id": 9, "ground_truth": None}]
    loaded = load({"facts": as_json(records)}, facts.model_copy(update={"limit": 1}), PRESET, own)
    assert loaded.pool == [
        Fact(
            fact_id="8",
            subject="Ada King",
            relation=None,
            prompt="Ada King was born in",
            target="Bonn",
            template="{} was born in",
        )
    ]


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "edits", "locality"),
    [("counterfact_all_easyedit", 21_919, 21_919), ("wikirecent_test", 1266, 11_000), ("wikirecent_train", 570, 1900)],
)
def test_every_published_record_is_read(
    name: str, edits: int, locality: int, real_data: Path, facts: Facts, own: Own
) -> None:
    loaded = load({"facts": real_data / f"{name}.json"}, facts, PRESET, own)
    assert (len(loaded.requests), loaded.rejects) == (edits, [])
    assert sum(len(request.locality) for request in loaded.requests) >= locality * 0.5
