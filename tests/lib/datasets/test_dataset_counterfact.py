"""CounterFact records: what becomes an edit, what becomes the pool, and what is rejected with field and line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from lib.core.params import Facts, Own
from lib.core.records import Fact, LocalityPrompt, Reject, Request
from lib.data.dataset import check
from lib.datasets.counterfact import load
from tests.helpers.datasets import dataset_preset

PRESET = dataset_preset("counterfact", "success")
ABSENT = object()


def record(case_id: int = 7, subject: str = "Ada {x}", prompt: str = "The {mother} tongue of {} is") -> dict[str, Any]:
    return {
        "case_id": case_id,
        "pararel_idx": None,
        "requested_rewrite": {
            "prompt": prompt,
            "relation_id": "P103",
            "target_new": {"str": "English", "id": None},
            "target_true": {"str": "French", "id": "Q150"},
            "subject": subject,
        },
        "paraphrase_prompts": [f"It rains. {subject}, a native", f"{subject} spoke the language"],
        "neighborhood_prompts": ["The mother tongue of Léon is"],
        "attribute_prompts": ["Bob, speaker of"],
        "generation_prompts": [f"{subject} was born in"],
    }


def spoiled(path: str, value: object) -> dict[str, Any]:
    """A record with `value` at the dotted path, or without that field."""
    values = record(case_id=8)
    *outer, last = path.split(".")
    inner = values
    for name in outer:
        inner = inner[name]
    if value is ABSENT:
        del inner[last]
    else:
        inner[last] = value
    return values


def test_a_record_becomes_an_edit_with_its_braces_and_every_evaluation_prompt(
    as_json: Callable[..., Path], facts: Facts, own: Own
) -> None:
    loaded = load({"facts": as_json([record()])}, facts, PRESET, own)
    assert loaded.requests == [
        Request(
            request_id="7",
            dataset="counterfact",
            subject="Ada {x}",
            relation="P103",
            prompt="The {mother} tongue of Ada {x} is",
            template="The {mother} tongue of {} is",
            target_new="English",
            target_true="French",
            paraphrases=("It rains. Ada {x}, a native", "Ada {x} spoke the language"),
            locality=(LocalityPrompt(prompt="The mother tongue of Léon is", target="French"),),
            generation_prompts=("Ada {x} was born in",),
        )
    ]
    assert (loaded.pool, loaded.rejects, loaded.rows) == ([], [], 1)


def test_snippets_about_the_new_object_are_the_edits_references(
    as_json: Callable[..., Path], facts: Facts, own: Own
) -> None:
    named = spoiled("requested_rewrite.target_new.id", "Q1860")
    entry = {"relation_id": "P103", "target_id": "Q1860", "samples": [{"name": "Bo", "text": "Bo speaks English."}]}
    files = {"facts": as_json([record(), named]), "snippets": as_json([entry], "snippets.json")}
    loaded = load(files, facts, PRESET, own)
    assert [request.references for request in loaded.requests] == [(), ("Bo speaks English.",)]
    assert loaded.rows == 3


def test_a_subject_of_mere_braces_survives(as_json: Callable[..., Path], facts: Facts, own: Own) -> None:
    (edit,) = load({"facts": as_json([record(subject="{}")])}, facts, PRESET, own).requests
    assert (edit.subject, edit.prompt) == ("{}", "The {mother} tongue of {} is")


@pytest.mark.parametrize(
    ("split", "edits", "pool"), [("test", ["0", "1"], ["2", "3", "4"]), ("validation", ["3", "4"], ["0", "1", "2"])]
)
def test_edits_are_the_first_or_the_last_records_and_the_others_are_the_pool_of_true_facts(
    split: Literal["test", "validation"], edits: list[str], pool: list[str], as_json: Callable[..., Path], own: Own
) -> None:
    facts = Facts(
        split=split,
        draw="first",
        limit=2,
        pool_limit=None,
        extras=[],
        text_limit=None,
        folder="",
        max_reject_share=0,
        seed=0,
    )
    loaded = load({"facts": as_json([record(number) for number in range(5)])}, facts, PRESET, own)
    assert [edit.request_id for edit in loaded.requests] == edits
    assert [fact.fact_id for fact in loaded.pool] == pool
    assert loaded.pool[0] == Fact(
        fact_id=pool[0],
        subject="Ada {x}",
        relation="P103",
        prompt="The {mother} tongue of Ada {x} is",
        target="French",
        template="The {mother} tongue of {} is",
        paraphrases=("It rains. Ada {x}, a native", "Ada {x} spoke the language"),
        target_new="English",
        locality=(LocalityPrompt(prompt="The mother tongue of Léon is", target="French"),),
    )


def test_validation_without_a_limit_is_refused(as_json: Callable[..., Path], facts: Facts, own: Own) -> None:
    with pytest.raises(ValueError, match=r"facts\.limit: wanted a number .*found null"):
        load({"facts": as_json([record()])}, facts.model_copy(update={"split": "validation"}), PRESET, own)


@pytest.mark.parametrize(
    ("path", "value", "field", "reason"),
    [
        ("case_id", ABSENT, "case_id", "absent"),
        ("case_id", True, "case_id", "wanted text; found True"),
        ("case_id", 7, "case_id", "wanted a key of its own; found '7' on line 1 already"),
        ("requested_rewrite", ABSENT, "requested_rewrite", "absent"),
        ("requested_rewrite", "text", "requested_rewrite", "wanted a record; found 'text'"),
        ("requested_rewrite.subject", None, "requested_rewrite.subject", "absent"),
        ("requested_rewrite.subject", " ", "requested_rewrite.subject", "empty"),
        ("requested_rewrite.relation_id", 103, "requested_rewrite.relation_id", "wanted text; found 103"),
        (
            "requested_rewrite.prompt",
            "It is",
            "requested_rewrite.prompt",
            "wanted exactly one {} for the subject; found 'It is'",
        ),
        (
            "requested_rewrite.prompt",
            "{} {}",
            "requested_rewrite.prompt",
            "wanted exactly one {} for the subject; found '{} {}'",
        ),
        ("requested_rewrite.target_new", {}, "requested_rewrite.target_new.str", "absent"),
        ("requested_rewrite.target_new.str", "", "requested_rewrite.target_new.str", "empty"),
        ("requested_rewrite.target_true.str", {}, "requested_rewrite.target_true.str", "wanted text; found {}"),
        ("paraphrase_prompts", ABSENT, "paraphrase_prompts", "absent"),
        ("paraphrase_prompts", "one", "paraphrase_prompts", "wanted a list of texts; found 'one'"),
        ("neighborhood_prompts", ["fine", ""], "neighborhood_prompts[1]", "empty"),
        ("generation_prompts", [5], "generation_prompts[0]", "wanted text; found 5"),
    ],
)
def test_a_malformed_record_is_a_reject_with_its_field_and_place_and_the_others_are_read(
    path: str, value: object, field: str, reason: str, as_json: Callable[..., Path], facts: Facts, own: Own
) -> None:
    loaded = load({"facts": as_json([record(), spoiled(path, value), record(9)])}, facts, PRESET, own)
    assert loaded.rejects == [Reject(file="facts.json", line=2, field=field, reason=reason)]
    assert [edit.request_id for edit in loaded.requests] == ["7", "9"]
    assert loaded.rows == 3


def test_a_preset_without_the_file_of_facts_is_told_which_role_it_lacks(facts: Facts, own: Own) -> None:
    with pytest.raises(ValueError, match="wanted the role 'facts'; found edits"):
        load({"edits": Path("x.json")}, facts, PRESET, own)


def test_a_text_file_takes_the_place_of_the_embedded_prose_and_no_line_is_on_both_sides(
    as_json: Callable[..., Path], tmp_path: Path, facts: Facts, own: Own
) -> None:
    pieces = [f"Piece {number}." for number in range(30)] * 2
    (tmp_path / "plain.txt").write_text("\n\n".join(pieces))
    files = {"facts": as_json([record()]), "text": tmp_path / "plain.txt"}
    text = load(files, facts, PRESET, own).text
    assert [piece.text for piece in text] == pieces
    heldout = {piece.text for piece in text if piece.split == "heldout"}
    assert len(heldout) == 3
    assert not heldout & {piece.text for piece in text if piece.split == "train"}


@pytest.mark.data
def test_every_published_record_is_read(real_data: Path, facts: Facts, own: Own) -> None:
    limited = facts.model_copy(update={"limit": 2000})
    loaded = load({"facts": real_data / "counterfact.json"}, limited, PRESET, own)
    check(loaded, 0.0, Path("rejects.parquet"))
    assert (len(loaded.requests), len(loaded.pool), len(loaded.rejects)) == (2000, 1005, 0)
    assert {(len(edit.paraphrases), len(edit.locality), len(edit.generation_prompts)) for edit in loaded.requests} == {
        (2, 10, 10)
    }


def test_drawn_edits_are_not_in_the_pool_and_stand_in_the_order_drawn(
    facts: Facts, as_json: Callable[..., Path], own: Own
) -> None:
    settings = facts.model_copy(update={"draw": "random", "limit": 4})
    loaded = load({"facts": as_json([record(number) for number in range(9)])}, settings, PRESET, own)
    edits = [edit.request_id for edit in loaded.requests]
    assert len(edits) == 4
    assert edits != sorted(edits)
    assert {*edits} | {fact.fact_id for fact in loaded.pool} == {*map(str, range(9))}
