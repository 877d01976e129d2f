"""Mistakes in the user's own facts: a bad row is a reject with its place, a bad file is one clear error."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lib import datasets
from lib.core.params import Facts, Own
from lib.core.records import Reject
from lib.data.dataset import Loaded
from lib.datasets.own import load
from tests.helpers.datasets import dataset_preset

PRESET = dataset_preset("own", "accuracy")


@pytest.fixture
def read(facts: Facts, own: Own) -> Callable[[Path], Loaded]:
    return lambda path: load({"own": path}, facts, PRESET, own)


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


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
    ],
)
def test_a_malformed_csv_row_is_a_reject_with_its_field_and_line(
    row: str, field: str, reason: str, tmp_path: Path, read: Callable[[Path], Loaded]
) -> None:
    path = write(tmp_path / "facts.csv", f"prompt,target_new,paraphrases,locality\nBo is,Bonn,,\n{row}\nCy is,Cork,,\n")
    loaded = read(path)
    assert loaded.rejects == [Reject(file="facts.csv", line=3, field=field, reason=reason)]
    assert [edit.prompt for edit in loaded.requests] == ["Bo is", "Cy is"]
    assert loaded.rows == 3


def test_a_quote_that_is_never_closed_rejects_every_line_it_swallowed(
    tmp_path: Path, read: Callable[[Path], Loaded]
) -> None:
    loaded = read(
        write(tmp_path / "facts.csv", 'prompt,target_new\nBo is,Bonn\nAda is,"Rome\nCy is,Cork\nDi is,Dijon\n')
    )
    reason = "not CSV; found unexpected end of data (lines 3 to 5)"
    assert loaded.rejects == [Reject(file="facts.csv", line=line, field="row", reason=reason) for line in (3, 4, 5)]
    assert loaded.rows == 4


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
        ('{"prompt": "Ada is", "target_new": true}', "target_new", "wanted text; found True"),
        ('{"prompt": 1998, "target_new": "b"}', "prompt", "wanted text; found 1998"),
        (
            '{"prompt": "Ada is", "target_new": "\\ud800"}',
            "target_new",
            "wanted Unicode text; found half of a surrogate pair in '\\ud800'",
        ),
        ('{"prompt": "A", "target_new": "b", "subject": {}}', "subject", "wanted text; found {}"),
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
    row: str, field: str, reason: str, tmp_path: Path, read: Callable[[Path], Loaded]
) -> None:
    first = '{"prompt": "Bo is", "target_new": "Bonn", "id": "first"}'
    loaded = read(write(tmp_path / "facts.jsonl", f"{first}\n\n{row}\n"))
    assert loaded.rejects == [Reject(file="facts.jsonl", line=3, field=field, reason=reason)]
    assert [edit.request_id for edit in loaded.requests] == ["first"]


def test_a_file_without_one_readable_line_has_every_line_among_the_rejects(
    tmp_path: Path, read: Callable[[Path], Loaded]
) -> None:
    loaded = read(write(tmp_path / "facts.jsonl", "<html>\nPlease log in\n</html>\n"))
    assert [reject.line for reject in loaded.rejects] == [1, 2, 3]


def test_a_mistyped_parquet_column_rejects_its_rows_by_place(tmp_path: Path, read: Callable[[Path], Loaded]) -> None:
    pq.write_table(pa.table({"prompt": ["Ada is", "Bo is"], "target_new": [True, None]}), tmp_path / "facts.parquet")
    assert [(reject.line, reject.field, reject.reason) for reject in read(tmp_path / "facts.parquet").rejects] == [
        (1, "target_new", "wanted text; found True"),
        (2, "target_new", "absent"),
    ]


@pytest.mark.parametrize(("cell", "separator"), [("space", "space"), (" nothing ", "nothing"), ("", None)])
def test_a_row_may_say_what_stands_between_prompt_and_target(
    cell: str, separator: str | None, tmp_path: Path, read: Callable[[Path], Loaded]
) -> None:
    (edit,) = read(write(tmp_path / "facts.csv", f"prompt,target_new,join\nreport.,pdf,{cell}\n")).requests
    assert edit.separator == separator


def test_another_join_is_a_reject(tmp_path: Path, read: Callable[[Path], Loaded]) -> None:
    rejects = read(write(tmp_path / "facts.csv", "prompt,target_new,join\nreport.,pdf,glue\n")).rejects
    assert [(reject.field, reject.reason) for reject in rejects] == [
        ("join", "wanted space, nothing, or an empty cell; found 'glue'")
    ]


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
        ("facts.jsonl", '{"prompt": "a", "target_new": "b", "target_tru": "c"}', "Did you mean 'target_true'?"),
        ("facts.jsonl", "\n", "empty; wanted a row"),
        ("facts.parquet", "no Parquet", "wanted a Parquet file"),
        ("facts.tsv", "prompt\ttarget_new", "wanted one of .csv, .json, .jsonl, .parquet; found the suffix '.tsv'"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_is_one_clear_error(
    name: str, text: str, message: str, tmp_path: Path, read: Callable[[Path], Loaded]
) -> None:
    with pytest.raises(ValueError) as raised:
        read(write(tmp_path / name, text))
    assert str(tmp_path / name) in str(raised.value)
    assert message in str(raised.value)


def test_a_file_in_another_encoding_is_told_the_line(tmp_path: Path, read: Callable[[Path], Loaded]) -> None:
    (tmp_path / "facts.csv").write_bytes("prompt,target_new\nAda is,Orléans\n".encode("latin-1"))
    with pytest.raises(ValueError, match="wanted UTF-8; found the byte 0xe9 on line 2"):
        read(tmp_path / "facts.csv")


def test_an_absent_file_is_told_the_setting(facts: Facts, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"own\.path: wanted a file; found none at .*absent\.csv"):
        datasets.find(PRESET, facts, Own(path=str(tmp_path / "absent.csv"), pool="none"))
