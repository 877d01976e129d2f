"""The user's own facts: the three formats say the same, and the pool is that of another dataset."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import datasets
from lib.core import params
from lib.core.params import Dataset, Facts, Own
from lib.core.records import LocalityPrompt, Request
from lib.core.texts import fill
from lib.data import world
from lib.data.dataset import Loaded
from lib.data.visible import is_control, is_visible
from lib.datasets.own import load
from tests.helpers.datasets import dataset_preset

PRESET = dataset_preset("own", "accuracy")
FACTS = Facts(
    split="test",
    draw="first",
    limit=None,
    pool_limit=None,
    extras=[],
    text_limit=None,
    folder="examples",
    max_reject_share=0.05,
    seed=0,
)
NO_POOL = Own(path="unused.csv", pool="none")
EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "own_facts.csv"


def says_something(text: str) -> bool:
    return is_visible(text) and not is_control(text)


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(str.strip).filter(says_something)
items = (
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="|>"), min_size=1)
    .map(str.strip)
    .filter(says_something)
)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    subject = draw(texts)
    return Request(
        request_id="",
        dataset="own",
        subject=subject,
        relation=draw(st.none() | texts),
        prompt=f"{draw(st.text(st.characters(exclude_categories=['Cs'])))}{subject} {draw(texts)}".strip(),
        template=None,
        target_new=draw(texts),
        target_true=draw(st.none() | texts),
        paraphrases=tuple(draw(st.lists(items, max_size=3))),
        locality=tuple(LocalityPrompt(prompt=draw(items), target=draw(items)) for _ in range(draw(st.integers(0, 2)))),
    )


def as_cells(request: Request) -> list[str | None]:
    return [
        request.prompt,
        request.target_new,
        request.subject,
        request.target_true,
        request.relation,
        " | ".join(request.paraphrases),
        " | ".join(f"{locality.prompt} => {locality.target}" for locality in request.locality),
    ]


def read(path: Path, own: Own = NO_POOL, facts: Facts = FACTS) -> Loaded:
    return load({"own": path}, facts, PRESET, own)


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


@settings(deadline=None)
@given(st.lists(requests(), min_size=1, max_size=4, unique_by=lambda request: request.prompt), st.booleans())
def test_whatever_is_written_to_a_csv_file_is_read_back(written: list[Request], marked: bool) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "facts.csv"
        with path.open("w", newline="", encoding="utf-8-sig" if marked else "utf-8") as stream:
            writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
            writer.writerow(["prompt", "target_new", "subject", "target_true", "relation", "paraphrases", "locality"])
            writer.writerows(as_cells(request) for request in written)
        loaded = read(path)
    assert loaded.rejects == []
    assert [replace(request, request_id="", template=None) for request in loaded.requests] == written
    for request in loaded.requests:
        assert request.template is None or fill(request.template, str(request.subject)) == request.prompt


def test_csv_json_lines_and_parquet_give_the_same_edits(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "a", "prompt": "Ada lives in", "target_new": "Rome", "subject": "Ada", "target_true": "Paris"},
        {"id": "b", "prompt": "f({x}) is", "target_new": "{y}", "subject": None, "target_true": None},
    ]
    rows[0] |= {
        "paraphrases": ["Ada's home is", "Where is Ada?"],
        "locality": [{"prompt": "Bo is in", "target": "Bonn"}],
    }
    rows[1] |= {"paraphrases": None, "locality": None}
    write(
        tmp_path / "facts.csv",
        "id,prompt,target_new,subject,target_true,paraphrases,locality\n"
        "a,Ada lives in,Rome,Ada,Paris,Ada's home is | Where is Ada?,Bo is in => Bonn\n"
        "b,f({x}) is,{y},,,,\n",
    )
    write(tmp_path / "facts.jsonl", "\n".join(json.dumps(row) for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "facts.parquet")
    read_back = [read(tmp_path / f"facts.{suffix}") for suffix in ("csv", "jsonl", "parquet")]
    assert [loaded.rejects for loaded in read_back] == [[], [], []]
    assert read_back[0].requests == read_back[1].requests == read_back[2].requests
    assert read_back[0].requests[0] == Request(
        request_id="a",
        dataset="own",
        subject="Ada",
        relation=None,
        prompt="Ada lives in",
        template="{} lives in",
        target_new="Rome",
        target_true="Paris",
        paraphrases=("Ada's home is", "Where is Ada?"),
        locality=(LocalityPrompt(prompt="Bo is in", target="Bonn"),),
    )


def test_a_row_without_an_id_is_named_by_its_line(tmp_path: Path) -> None:
    loaded = read(write(tmp_path / "facts.csv", 'prompt,target_new\n"two\nlines",x\n\nlater,y\n'))
    assert [edit.request_id for edit in loaded.requests] == ["line-2", "line-5"]


@pytest.mark.parametrize(("split", "prompts"), [("test", ["a", "b"]), ("validation", ["b", "c"])])
def test_a_limit_takes_the_first_rows_for_test_and_the_last_for_validation(
    split: str, prompts: list[str], tmp_path: Path
) -> None:
    path = write(tmp_path / "facts.csv", "prompt,target_new\na,x\nb,x\nc,x\n")
    loaded = read(path, facts=FACTS.model_copy(update={"split": split, "limit": 2}))
    assert [edit.prompt for edit in loaded.requests] == prompts


def test_the_pool_and_the_text_are_those_of_the_dataset_named(tmp_path: Path) -> None:
    path = write(tmp_path / "facts.csv", "prompt,target_new\na,x\n")
    embedded = datasets.load("world", {}, FACTS, params.preset("datasets", "world", Dataset), NO_POOL)
    loaded = read(path, Own(path=str(path), pool="world"))
    assert loaded.pool == embedded.pool
    assert loaded.text == embedded.text
    assert [edit.prompt for edit in loaded.requests] == ["a"]


def test_a_pool_from_files_keeps_every_fact_and_every_reject(as_json: Callable[..., Path], tmp_path: Path) -> None:
    answer = {
        "subject": "Ada",
        "src": "Where is Ada?",
        "rephrase": "r",
        "answers": ["here"],
        "loc": "l",
        "loc_ans": "a",
    }
    files = {
        "own": write(tmp_path / "facts.csv", "prompt,target_new\na,x\n"),
        "edits": as_json([answer], "edits.json"),
        "pool": as_json([answer, {}, answer], "pool.json"),
    }
    loaded = load(files, FACTS, PRESET, Own(path="unused.csv", pool="zsre"))
    assert (len(loaded.requests), len(loaded.pool), loaded.rows) == (1, 2, 5)
    assert [(reject.file, reject.line) for reject in loaded.rejects] == [("pool.json", 2)]


def test_every_record_of_another_dataset_serves_the_pool_whatever_the_limit_of_edits(
    as_json: Callable[..., Path], tmp_path: Path
) -> None:
    rewrite: dict[str, Any] = {"prompt": "{} is in", "subject": "Bo", "relation_id": "P1"}
    rewrite |= {"target_new": {"str": "Rome"}, "target_true": {"str": "Bonn"}}
    lists: dict[str, list[str]] = {"paraphrase_prompts": [], "neighborhood_prompts": [], "generation_prompts": []}
    records = [{"case_id": number, "requested_rewrite": rewrite, **lists} for number in range(3)]
    files = {"own": write(tmp_path / "own.csv", "prompt,target_new\na,x\nb,x\n"), "facts": as_json(records)}
    for limit in (None, 1):
        facts = FACTS.model_copy(update={"limit": limit})
        loaded = load(files, facts, PRESET, Own(path="unused.csv", pool="counterfact"))
        assert (len(loaded.requests), len(loaded.pool)) == (limit or 2, 3)


def test_without_a_pool_there_is_still_plain_text(tmp_path: Path) -> None:
    loaded = read(write(tmp_path / "facts.csv", "prompt,target_new\na,x\n"))
    assert loaded.pool == []
    assert loaded.text


def test_the_examples_correct_facts_of_the_embedded_world() -> None:
    loaded = read(EXAMPLES)
    true = {(fact.subject, fact.target) for fact in world.make_world(0).facts if fact.split == "test"}
    assert (len(loaded.requests), loaded.rejects) == (10, [])
    assert {(edit.subject, edit.target_true) for edit in loaded.requests} <= true
    assert all(edit.template for edit in loaded.requests)
    assert any(edit.paraphrases for edit in loaded.requests)
    assert any(edit.locality for edit in loaded.requests)
