"""When rejects stop the stage, and what it then says."""

from dataclasses import replace
from pathlib import Path

import pytest

from lib.core.errors import InputError
from lib.core.params import Facts, Neighbors
from lib.core.records import Fact, Reject, Request
from lib.data.dataset import Loaded, check, check_pool, edited
from lib.data.files import read_json

EDIT = Request(
    request_id="1",
    dataset="own",
    subject=None,
    relation=None,
    prompt="Ada is in",
    template=None,
    target_new="Rome",
    target_true=None,
)


def loaded(reasons: list[str], rows: int = 100, file: str = "facts.csv") -> Loaded:
    rejects = [
        Reject(file=file, line=line, field="subject", reason=reason) for line, reason in enumerate(reasons, start=2)
    ]
    return Loaded(requests=[EDIT], pool=[], text=[], rejects=rejects, rows_of={file: rows, "other.json": 1000})


def test_rejects_up_to_the_share_are_let_through() -> None:
    check(loaded(["empty"] * 5), 0.05, Path("rejects.parquet"))


def test_more_rejects_than_the_share_of_their_own_file_stop_the_stage() -> None:
    with pytest.raises(ValueError) as raised:
        check(loaded(["empty"] * 6), 0.05, Path("rejects.parquet"))
    message = str(raised.value)
    assert "facts.csv: 6 of 100 rows rejected (6.0%), more than facts.max_reject_share allows (5.0%)" in message
    assert "Every reject is in rejects.parquet. Correct the rows, or raise facts.max_reject_share." in message


def test_the_three_most_common_reasons_are_told_with_an_example_each() -> None:
    reasons = ["rare", "empty", "wanted text; found 1", "absent", "wanted text; found 2", "empty", "absent", "absent"]
    with pytest.raises(ValueError) as raised:
        check(loaded(reasons), 0.0, Path("rejects.parquet"))
    assert [line.strip() for line in str(raised.value).splitlines() if " x " in line] == [
        "3 x subject: absent (line 5)",
        "2 x subject: empty (line 3)",
        "2 x subject: wanted text; found 1 (line 4)",
    ]


def test_no_edit_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="wanted at least one edit; found none"):
        check(Loaded(requests=[], pool=[], text=[], rejects=[], rows_of={}), 1.0, Path("rejects.parquet"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!DOCTYPE html><html>", r"wanted a JSON array of records; found something else .*'<!DOCTYPE html><html>'"),
        ('{"case_id": 0}', r"wanted a JSON array of records; found \{'case_id': 0\}"),
        ("[]", "empty"),
    ],
)
def test_a_file_that_is_no_json_array_says_what_it_is(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "facts.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_json(tmp_path / "facts.json")


def test_an_array_item_that_is_no_record_is_a_reject(tmp_path: Path) -> None:
    (tmp_path / "facts.json").write_text('\ufeff[{"a": 1}, 5]', encoding="utf-8")
    file = read_json(tmp_path / "facts.json")
    assert file.rejects == (Reject(file="facts.json", line=2, field="row", reason="wanted a record; found 5"),)
    assert file.size == 2


NEIGHBORS = Neighbors(kind="random", n=20, encoder="hashing", index="Flat", seed=0)


@pytest.mark.parametrize(("limit", "value"), [(None, "null"), (30_000, "30000")])
def test_where_every_record_is_an_edit_the_error_names_the_limit(limit: int | None, value: str) -> None:
    message = f"facts.limit={value} makes all 1 records of counterfact edits. Set facts.limit to fewer, or neighbors"
    with pytest.raises(ValueError, match=message):
        check_pool(loaded([]), "counterfact", limit, "almanac", NEIGHBORS)


def test_an_empty_pool_is_no_error_where_nothing_asks_for_it() -> None:
    for changed in ({"kind": "none"}, {"n": 0}):
        check_pool(loaded([]), "counterfact", None, "almanac", NEIGHBORS.model_copy(update=changed))
    fact = Fact(fact_id="1", subject=None, relation=None, prompt="Bo is in", target="Oslo")
    one_fact, one_neighbor = replace(loaded([]), pool=[fact]), NEIGHBORS.model_copy(update={"n": 1})
    check_pool(one_fact, "counterfact", None, "almanac", one_neighbor)
    with pytest.raises(InputError, match=r"neighbors\.n: wanted at most .* of the pool, 1; found 2"):
        check_pool(one_fact, "counterfact", None, "almanac", NEIGHBORS.model_copy(update={"n": 2}))


def facts(**changed: object) -> Facts:
    values = {"split": "test", "limit": 10, "draw": "random", "pool_limit": None, "folder": "", "extras": [],
              "text_limit": None, "max_reject_share": 0.0, "seed": 3}  # fmt: skip
    return Facts.model_validate(values | changed)


def test_edits_are_drawn_with_the_seed_and_a_larger_limit_draws_the_same_ones_first() -> None:
    ten = [*edited(1000, facts())]
    assert ten == [*edited(1000, facts())] == [*edited(1000, facts(limit=500))][:10]
    assert ten != sorted(ten)
    assert max(ten) > 100
    assert ten != [*edited(1000, facts(seed=4))]


def test_drawn_edits_of_the_two_splits_are_different_records() -> None:
    test, validation = ({*edited(100, facts(split=split, limit=50))} for split in ("test", "validation"))
    assert len(test) == len(validation) == 50
    assert not test & validation


def test_without_drawing_edits_are_the_first_records_and_those_of_validation_the_last() -> None:
    assert [*edited(100, facts(draw="first", limit=3))] == [0, 1, 2]
    assert [*edited(100, facts(draw="first", limit=3, split="validation"))] == [97, 98, 99]
