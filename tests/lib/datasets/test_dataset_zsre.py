"""ZsRE records under both protocols, the locality question as the ROME release asks it, and rejects."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib.core.params import Dataset, Facts, Own
from lib.core.records import Fact, LocalityPrompt, Reject, Request
from lib.data.dataset import check
from lib.datasets.zsre import load
from tests.helpers.datasets import dataset_preset

ROME = dataset_preset("zsre", "accuracy", target="answers")
RECT = ROME.model_copy(update={"target": "alt"})
ABSENT = object()


def record(**changes: object) -> dict[str, Any]:
    values: dict[str, Any] = {
        "subject": "Yorzin Loyor",
        "src": "In which city was Yorzin Loyor born?",
        "pred": "Monul",
        "rephrase": "What is the city of birth of Yorzin Loyor?",
        "alt": " Miul",
        "answers": ["Corel", "Corel city"],
        "loc": "nq question: when does the museum open",
        "loc_ans": "at nine",
        "cond": "Monul >> Miul || In which city was Yorzin Loyor born?",
    }
    return {name: value for name, value in {**values, **changes}.items() if value is not ABSENT}


@pytest.fixture
def read_one(as_json: Callable[..., Path], facts: Facts, own: Own) -> Callable[..., Request]:
    """The edit that a single record becomes."""

    def read(values: dict[str, Any], preset: Dataset = ROME) -> Request:
        files = {"edits": as_json([values], "edits.json"), "pool": as_json([record()], "pool.json")}
        loaded = load(files, facts, preset, own)
        assert loaded.rejects == []
        return loaded.requests[0]

    return read


def test_the_rome_protocol_edits_to_the_first_answer(read_one: Callable[..., Request]) -> None:
    assert read_one(record()) == Request(
        request_id="0",
        dataset="zsre",
        subject="Yorzin Loyor",
        relation=None,
        prompt="In which city was Yorzin Loyor born?",
        template="In which city was {} born?",
        target_new="Corel",
        target_true=None,
        paraphrases=("What is the city of birth of Yorzin Loyor?",),
        locality=(LocalityPrompt(prompt="nq question: when does the museum open?", target="at nine"),),
    )


def test_the_rect_protocol_edits_from_the_first_answer_to_the_alternative(read_one: Callable[..., Request]) -> None:
    edit = read_one(record(), RECT)
    assert (edit.target_new, edit.target_true) == ("Miul", "Corel")


def test_a_locality_question_that_has_its_mark_does_not_get_another(read_one: Callable[..., Request]) -> None:
    edit = read_one(record(loc="nq question: when does the museum open?"))
    assert edit.locality[0].prompt == "nq question: when does the museum open?"


@pytest.mark.parametrize(
    ("subject", "src", "template"),
    [
        ("Ada", "Where is Ada?", "Where is {}?"),
        ("Ada", "Is Ada the Ada of lore?", None),
        ("Ada Lovelace", "Where is she?", None),
        ("Ada", "Is {} an Ada?", None),
        ("Ada", "Is {} here?", None),
        ("{Ada}", "Where is {Ada} of {x}?", "Where is {} of {x}?"),
    ],
)
def test_the_template_is_the_prompt_around_a_subject_that_occurs_once(
    subject: str, src: str, template: str | None, read_one: Callable[..., Request]
) -> None:
    edit = read_one(record(subject=subject, src=src))
    assert (edit.subject, edit.prompt, edit.template) == (subject, src, template)


def test_the_pool_holds_the_true_facts_of_the_training_file(
    as_json: Callable[..., Path], facts: Facts, own: Own
) -> None:
    training = [record(alt=""), record(subject="Ada", src="Where is Ada?", answers=["here"], rephrase=ABSENT)]
    files = {"edits": as_json([record()], "edits.json"), "pool": as_json(training, "pool.json")}
    loaded = load(files, facts, ROME, own)
    assert [fact.target for fact in loaded.pool] == ["Corel", "here"]
    assert loaded.pool[1] == Fact(
        fact_id="1",
        subject="Ada",
        relation=None,
        prompt="Where is Ada?",
        target="here",
        template="Where is {}?",
        target_new="Miul",
        locality=(LocalityPrompt(prompt="nq question: when does the museum open?", target="at nine"),),
    )
    first = loaded.pool[0]
    assert (first.paraphrases, first.target_new) == (("What is the city of birth of Yorzin Loyor?",), None)


@pytest.mark.parametrize(
    ("spoiled", "preset", "field", "reason"),
    [
        ({"answers": ABSENT}, ROME, "answers", "absent"),
        ({"answers": []}, ROME, "answers", "empty"),
        ({"answers": {}}, ROME, "answers", "wanted text; found {}"),
        ({"answers": [" "]}, ROME, "answers", "empty"),
        ({"subject": None}, ROME, "subject", "absent"),
        ({"src": 3}, ROME, "src", "wanted text; found 3"),
        ({"rephrase": ""}, ROME, "rephrase", "empty"),
        ({"loc": ABSENT}, ROME, "loc", "absent"),
        ({"loc_ans": []}, ROME, "loc_ans", "wanted text; found []"),
        ({"alt": ""}, RECT, "alt", "empty"),
    ],
)
def test_a_malformed_record_is_a_reject_with_its_field_and_place(
    spoiled: dict[str, object],
    preset: Dataset,
    field: str,
    reason: str,
    as_json: Callable[..., Path],
    facts: Facts,
    own: Own,
) -> None:
    evaluation = as_json([record(), record(**spoiled)], "edits.json")
    loaded = load({"edits": evaluation, "pool": as_json([record()], "pool.json")}, facts, preset, own)
    assert loaded.rejects == [Reject(file="edits.json", line=2, field=field, reason=reason)]
    assert [edit.request_id for edit in loaded.requests] == ["0"]


def test_a_preset_without_a_protocol_is_refused(facts: Facts, own: Own) -> None:
    with pytest.raises(ValueError, match="target: wanted answers or alt"):
        load({}, facts, ROME.model_copy(update={"target": None}), own)


@pytest.mark.data
@pytest.mark.parametrize("preset", [ROME, RECT])
def test_every_published_record_is_read(preset: Dataset, real_data: Path, facts: Facts, own: Own) -> None:
    files = {"edits": real_data / "zsre_eval.json", "pool": real_data / "zsre_train_1k.json"}
    loaded = load(files, facts, preset, own)
    assert (len(loaded.requests), len(loaded.pool), loaded.rejects) == (1037, 1000, [])
    assert all(edit.template for edit in loaded.requests)


@pytest.mark.data
def test_a_training_file_without_answers_stops_the_stage(real_data: Path, facts: Facts, own: Own) -> None:
    files = {"edits": real_data / "zsre_eval.json", "pool": real_data / "zsre_train_10k_no_answers.json"}
    loaded = load(files, facts, ROME, own)
    assert len(loaded.rejects) == 10_000
    with pytest.raises(ValueError, match=r"10000 of 10000 rows rejected \(100\.0%\)") as raised:
        check(loaded, 0.05, Path("rejects.parquet"))
    assert "10000 x answers: absent (line 1)" in str(raised.value)
