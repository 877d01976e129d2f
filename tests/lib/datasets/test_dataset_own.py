"""The user's own facts: the three formats say the same, and every mistake is told with its place."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib import datasets, params, world
from lib.dataset import Loaded
from lib.datasets.own import load
from lib.params import Dataset, Facts, Own
from lib.records import LocalityPrompt, Reject, Request
from lib.texts import fill

PRESET = Dataset(loader="own", metric="accuracy", target=None, files={})
FACTS = Facts(split="test", limit=None, pool_limit=None, folder="examples", max_reject_share=0.05, seed=0)
NO_POOL = Own(path="unused.csv", pool="none")
EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "own_facts.csv"

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(str.strip).filter(bool)
items = (
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="|>"), min_size=1).map(str.strip).filter(bool)
)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    subject = draw(texts)
    return Request(
        edit_id="",
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
        " | ".join(f"{one.prompt} => {one.target}" for one in request.locality),
    ]


def read(path: Path, own: Own = NO_POOL, facts: Facts = FACTS) -> Loaded:
    return load({"own": path}, facts, PRESET, own)


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


@given(st.lists(requests(), min_size=1, max_size=4, unique_by=lambda one: one.prompt), st.booleans())
def test_whatever_is_written_to_a_csv_file_is_read_back(wanted: list[Request], marked: bool) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "facts.csv"
        with path.open("w", newline="", encoding="utf-8-sig" if marked else "utf-8") as stream:
            writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
            writer.writerow(["prompt", "target_new", "subject", "target_true", "relation", "paraphrases", "locality"])
            writer.writerows(as_cells(one) for one in wanted)
        loaded = read(path)
    assert loaded.rejects == []
    assert [replace(one, edit_id="", template=None) for one in loaded.edits] == wanted
    for one in loaded.edits:
        assert one.template is None or fill(one.template, str(one.subject)) == one.prompt


def test_csv_json_lines_and_parquet_give_the_same_edits(tmp_path: Path) -> None:
    rows = [
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
    assert read_back[0].edits == read_back[1].edits == read_back[2].edits
    assert read_back[0].edits[0] == Request(
        edit_id="a",
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
    assert [edit.edit_id for edit in loaded.edits] == ["line-2", "line-5"]


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        (",Rome,,", "prompt", "empty"),
        ("Ada is,  ,,", "target_new", "empty"),
        ("Ada is,Rome,", "row", "wanted 4 cells; found 3"),
        ("Ada is,Rome,,,,", "row", "wanted 4 cells; found 6"),
        ('Ada is,"Ro"me,,', "row", "not CSV; found ',' expected after '\"' (lines 3 to 3)"),
        ("Ada is,Rome,a |  | b,", "paraphrases[1]", "empty"),
        (
            "Ada is,Rome,,Bo is in Bonn",
            "locality",
            "wanted 'prompt => target | prompt => target'; found 'Bo is in Bonn'",
        ),
        ("Ada is,Rome,,Bo => ", "locality[0].target", "empty"),
        ("Bo is,Rome,,", "target_new", "wanted one target for a prompt; found 'Bonn' for the same prompt on line 2"),
    ],
)
def test_a_malformed_csv_row_is_a_reject_with_its_field_and_line(
    row: str, field: str, reason: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "facts.csv", f"prompt,target_new,paraphrases,locality\nBo is,Bonn,,\n{row}\nCy is,Cork,,\n")
    loaded = read(path)
    assert loaded.rejects == [Reject(file="facts.csv", line=3, field=field, reason=reason)]
    assert [edit.prompt for edit in loaded.edits] == ["Bo is", "Cy is"]
    assert loaded.rows == 3


def test_a_quote_that_is_never_closed_is_a_reject_that_tells_the_lines_it_swallowed(tmp_path: Path) -> None:
    loaded = read(
        write(tmp_path / "facts.csv", 'prompt,target_new\nBo is,Bonn\nAda is,"Rome\nCy is,Cork\nDi is,Dijon\n')
    )
    assert loaded.rejects == [
        Reject(file="facts.csv", line=3, field="row", reason="not CSV; found unexpected end of data (lines 3 to 5)")
    ]


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        (
            "{not JSON}",
            "row",
            "wanted a JSON object; found '{not JSON}' (Expecting property name enclosed in double quotes)",
        ),
        ("[1]", "row", "wanted a record; found [1]"),
        ('{"target_new": "Rome"}', "prompt", "absent"),
        ('{"prompt": "Ada is", "target_new": 1998}', "target_new", "wanted text; found 1998"),
        (
            '{"prompt": "Ada is", "target_new": "\\ud800"}',
            "target_new",
            "wanted Unicode text; found half of a surrogate pair in '\\ud800'",
        ),
        ('{"prompt": "A", "target_new": "b", "subject": 5}', "subject", "wanted text; found 5"),
        ('{"prompt": "A", "target_new": "b", "paraphrases": "c"}', "paraphrases", "wanted a list of texts; found 'c'"),
        ('{"prompt": "A", "target_new": "b", "locality": ["c"]}', "locality[0]", "wanted a record; found 'c'"),
        ('{"prompt": "A", "target_new": "b", "locality": [{"prompt": "c"}]}', "locality[0].target", "absent"),
        (
            '{"prompt": "A", "target_new": "b", "id": "first"}',
            "id",
            "wanted a key of its own; found 'first' on line 1 already",
        ),
        (
            '{"prompt": "{} is", "target_new": "b", "subject": "Ada"}',
            "prompt",
            "wanted the subject written in place of {}; found '{} is'",
        ),
    ],
)
def test_a_malformed_json_line_is_a_reject_with_its_field_and_line(
    row: str, field: str, reason: str, tmp_path: Path
) -> None:
    first = '{"prompt": "Bo is", "target_new": "Bonn", "id": "first"}'
    loaded = read(write(tmp_path / "facts.jsonl", f"{first}\n\n{row}\n"))
    assert loaded.rejects == [Reject(file="facts.jsonl", line=3, field=field, reason=reason)]
    assert [edit.edit_id for edit in loaded.edits] == ["first"]


def test_a_file_without_one_readable_line_has_every_line_among_the_rejects(tmp_path: Path) -> None:
    loaded = read(write(tmp_path / "facts.jsonl", "<html>\nPlease log in\n</html>\n"))
    assert [one.line for one in loaded.rejects] == [1, 2, 3]


def test_a_mistyped_parquet_column_rejects_its_rows_by_place(tmp_path: Path) -> None:
    pq.write_table(pa.table({"prompt": ["Ada is", "Bo is"], "target_new": [1, None]}), tmp_path / "facts.parquet")
    assert [(one.line, one.field, one.reason) for one in read(tmp_path / "facts.parquet").rejects] == [
        (1, "target_new", "wanted text; found 1"),
        (2, "target_new", "absent"),
    ]


def test_the_same_row_twice_is_two_edits_without_a_reject(tmp_path: Path) -> None:
    loaded = read(write(tmp_path / "facts.csv", "prompt,target_new\nBo is,Bonn\nBo is,Bonn\n"))
    assert (len(loaded.edits), loaded.rejects) == (2, [])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("facts.csv", "", "empty; wanted a header"),
        ("facts.csv", "prompt,target_new\n", "empty; wanted a row"),
        (
            "facts.csv",
            "prompt,target_new,pharaphrases\na,b,c\n",
            "unknown: 'pharaphrases'. Did you mean 'paraphrases'?",
        ),
        (
            "facts.csv",
            "prompt,target_new,prompt\na,b,c\n",
            "wanted column names, each once; found prompt, target_new, prompt",
        ),
        ("facts.csv", "Ada is,Rome\nBo is,Bonn\n", "missing: prompt, target_new; unknown: 'Ada is', 'Rome'"),
        ("facts.csv", "prompt;target_new\nAda is;Rome\n", "separated by commas"),
        ("facts.jsonl", '{"prompt": "a", "target_new": "b", "target-true": "c"}', "Did you mean 'target_true'?"),
        ("facts.jsonl", "\n", "empty; wanted a row"),
        ("facts.parquet", "no Parquet", "wanted a Parquet file"),
        ("facts.tsv", "prompt\ttarget_new", "wanted one of .csv, .jsonl, .parquet; found the suffix '.tsv'"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_is_one_clear_error(
    name: str, text: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError) as raised:
        read(write(tmp_path / name, text))
    assert str(tmp_path / name) in str(raised.value)
    assert message in str(raised.value)


def test_a_file_in_another_encoding_is_told_the_line(tmp_path: Path) -> None:
    (tmp_path / "facts.csv").write_bytes("prompt,target_new\nAda is,Orléans\n".encode("latin-1"))
    with pytest.raises(ValueError, match="wanted UTF-8; found the byte 0xe9 on line 2"):
        read(tmp_path / "facts.csv")


def test_an_absent_file_is_told_the_setting(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"own\.path: wanted a file; found none at .*absent\.csv"):
        datasets.find(PRESET, tmp_path, Own(path=str(tmp_path / "absent.csv"), pool="none"))


@pytest.mark.parametrize(("split", "prompts"), [("test", ["a", "b"]), ("validation", ["b", "c"])])
def test_a_limit_takes_the_first_rows_for_test_and_the_last_for_validation(
    split: str, prompts: list[str], tmp_path: Path
) -> None:
    path = write(tmp_path / "facts.csv", "prompt,target_new\na,x\nb,x\nc,x\n")
    loaded = read(path, facts=FACTS.model_copy(update={"split": split, "limit": 2}))
    assert [edit.prompt for edit in loaded.edits] == prompts


def test_the_pool_and_the_text_are_those_of_the_dataset_named(tmp_path: Path) -> None:
    path = write(tmp_path / "facts.csv", "prompt,target_new\na,x\n")
    embedded = datasets.load("world", {}, FACTS, params.preset("datasets", "world", Dataset), NO_POOL)
    loaded = read(path, Own(path=str(path), pool="world"))
    assert loaded.pool == embedded.pool
    assert loaded.text == embedded.text
    assert [edit.prompt for edit in loaded.edits] == ["a"]


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
    assert (len(loaded.edits), len(loaded.pool), loaded.rows) == (1, 2, 5)
    assert [(one.file, one.line) for one in loaded.rejects] == [("pool.json", 2)]


def test_without_a_pool_there_is_still_plain_text(tmp_path: Path) -> None:
    loaded = read(write(tmp_path / "facts.csv", "prompt,target_new\na,x\n"))
    assert loaded.pool == []
    assert loaded.text


def test_the_examples_correct_facts_of_the_embedded_world() -> None:
    loaded = read(EXAMPLES)
    true = {(fact.subject, fact.target) for fact in world.make_world(0).facts if fact.split == "test"}
    assert (len(loaded.edits), loaded.rejects) == (10, [])
    assert {(edit.subject, edit.target_true) for edit in loaded.edits} <= true
    assert all(edit.template for edit in loaded.edits)
    assert any(edit.paraphrases for edit in loaded.edits)
    assert any(edit.locality for edit in loaded.edits)
