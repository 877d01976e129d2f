"""Of a damaged or unusual file every row is read, or told: found by bench/faults/files.py, one example a kind."""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lib.abilities import documents
from lib.core.errors import InputError, user_message
from lib.core.params import Facts, Own, read_params
from lib.core.tables import frame
from lib.data import files
from lib.data.almanac import relation_facts
from lib.data.plain_text import plain_text
from lib.data.rows import InputRow
from lib.datasets import easyedit, zsre
from lib.experiments.files import read_experiments
from lib.metrics import consistency
from tests.helpers.datasets import dataset_preset

FACTS = Facts.model_construct(limit=None, split="test", draw="first", text_limit=None, seed=0, pool_limit=None)
EDIT = {"prompt": "Ada lives in", "subject": "Ada", "target_new": "Rome"}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def written(content: str | bytes, name: str) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return written


def prompt(row: InputRow) -> str:
    return row.text("prompt")


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_a_field_that_is_there_twice_with_other_values_is_a_reject(name: str, write: Callable[..., Path]) -> None:
    line = '{"prompt": "A", "prompt": "B"}'
    file = files.read(write(f"[{line}]" if name == "a.json" else line, name))
    records, (reject,) = files.parse(file, prompt)
    assert (records, reject.field) == ([], "prompt")
    assert reject.reason == "wanted text; found the field twice, with 'A' and 'B'"


def test_a_field_that_is_there_twice_with_one_value_is_read(write: Callable[..., Path]) -> None:
    assert files.parse(files.read(write('[{"prompt": "A", "prompt": "A"}]', "a.json")), prompt) == (["A"], [])


def test_values_in_each_other_beyond_what_python_follows_are_a_reject(write: Callable[..., Path]) -> None:
    row = InputRow(line=3, values={"prompt": _deep(5000)})
    file = files.RowFile(name="a.json", columns=(), rows=(row,), rejects=(), notes=row.notes)
    _, (reject,) = files.parse(file, prompt)
    assert (reject.line, reject.field) == (3, "row") or reject.field == "prompt"


def _deep(depth: int) -> Any:
    value: Any = None
    for _ in range(depth):
        value = [value]
    return value


def test_fields_that_are_not_read_are_named_once_a_file(write: Callable[..., Path]) -> None:
    pair = {"prompt": "Eve lives in", "ground_truth": "Pau", "weight": 2}
    records = [{**EDIT, "source": "x", "locality": {"Forgetfulness": [pair]}}, {**EDIT, "prompt": "Ada lived in"}]
    path = write(json.dumps(records), "a.json")
    loaded = easyedit.load({"facts": path}, FACTS, dataset_preset("easyedit", "success"), Own(path="", pool="none"))
    assert loaded.notes_of == {"a.json": ["fields 'source', 'locality.Forgetfulness.weight' ignored"]}


def test_text_in_utf_16_without_a_mark_is_refused(write: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=r"a\.txt: wanted UTF-8; found .* NUL bytes, as in UTF-16"):
        plain_text({"text": write("A line.\nAnother.\n".encode("utf-16-le"), "a.txt")}, FACTS)


def test_two_parquet_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table([["a"], ["b"]], names=["prompt", "prompt"]), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet: wanted column names, each once; found several columns prompt"):
        files.read_parquet(tmp_path / "a.parquet")


@pytest.mark.parametrize(("name", "values"), [("text", [1, 2]), ("title", [b"a", b"b"])])
def test_articles_whose_texts_are_none_are_refused(name: str, values: list[object], tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", "b"], "title": ["a", "b"], name: values}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=rf"a\.parquet: wanted texts in the column {name}; found values of type"):
        plain_text({"text": tmp_path / "a.parquet"}, FACTS)


def test_articles_and_lines_without_text_are_counted_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pq.write_table(pa.table({"text": ["a", None, " ", "\u200b"]}), tmp_path / "a.parquet")
    (tmp_path / "a.txt").write_text("a\n\n\u200b\n")
    with caplog.at_level(logging.WARNING):
        pieces = [
            piece.text for name in ("a.parquet", "a.txt") for piece in plain_text({"text": tmp_path / name}, FACTS)
        ]
    assert pieces == ["a", "a"]
    assert caplog.messages == [
        "a.parquet: 3 of 4 rows left out, without text",
        "a.txt: 1 of 2 lines left out, without text",
    ]


def test_lines_may_end_in_a_carriage_return_alone(write: Callable[..., Path]) -> None:
    assert [piece.text for piece in plain_text({"text": write("a\rb\r", "a.txt")}, FACTS)] == ["a", "b"]


RTE = "sentence1\tsentence2\tlabel\n"


@pytest.mark.parametrize("rows", ['"A\tB\t1\nC\tD"\t0\nE\tF\t1\n', "A\tB\n", "A\tB\t1\tx\n"])
def test_tab_separated_rows_that_quotes_merge_or_that_lack_cells_are_refused(
    rows: str, write: Callable[..., Path]
) -> None:
    with pytest.raises(InputError, match=r"a\.tsv: line 2: wanted"):
        documents.rows(write(RTE + rows, "a.tsv"))


@pytest.mark.parametrize("answer", [[["a"]], [1], [None]])
def test_a_tasks_texts_are_texts(answer: object) -> None:
    row = {"question": "who?", "answer": answer, "output": ["Ada."]}
    with pytest.raises(InputError, match=r"nq\.jsonl: record 1: answers: wanted Unicode text; found"):
        documents.documents([row], "natural_questions", "nq.jsonl")


def test_zsre_compares_other_answers_as_all_texts_are_compared(write: Callable[..., Path]) -> None:
    """Its own rule found C and C++ to be one answer, and signs without words too."""
    record = {"subject": "Ada", "src": "What is Ada in?", "rephrase": "Ada is in?", "alt": "?!", "answers": ["??"],
              "loc": "so", "loc_ans": "no"}  # fmt: skip
    path = write(json.dumps([record]), "a.json")
    preset = dataset_preset("zsre", "accuracy", target="answers")
    (fact,) = zsre.load({"edits": path, "pool": path}, FACTS, preset, Own(path="", pool="none")).pool
    assert fact.target_new == "?!"


def _array(path: Path, content: bytes | None) -> Path:
    np.save(path, np.array(["a", "b"])) if content is None else path.write_bytes(content)
    return path


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00v\x00{'descr"])
def test_published_word_weights_that_are_none_are_refused(
    content: bytes | None, write: Callable[..., Path], tmp_path: Path
) -> None:
    vocabulary = write('{"rome": 0, "oslo": 1}', "tfidf_vocab.json")
    with pytest.raises(InputError, match=r"idf\.npy: wanted"):
        consistency.published(_array(tmp_path / "idf.npy", content), vocabulary)


@pytest.mark.parametrize("values", ['{"words": ["a", "a"], "idf": [1, 2]}', '{"words": null, "idf": [1]}', "[]"])
def test_word_weights_of_another_kind_are_refused(values: str, write: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=r"f\.json: wanted an object"):
        consistency.read(write(values, "f.json"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "rows.yaml: wanted keys with values; found NoneType"),
        ("rows: {a: [x=1]}\nseeds: [0]\nseed_params: a\n", "rows.yaml: seed_params: Input should be a valid list"),
        ("rows: {a: 1}\nseeds: [0]\nseed_params: [a]\n", "rows.yaml: rows.a: Input should be a valid list"),
        ("rows: [\n", "rows.yaml: wanted YAML; found a damaged file"),
    ],
)
def test_a_file_of_experiments_of_another_form_is_refused(text: str, message: str, write: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=message):
        read_experiments(write(text, "rows.yaml"))


@pytest.mark.parametrize("read", [frame, read_params, files.read_json, relation_facts, read_experiments])
def test_a_pipe_is_refused_at_once_and_a_link_to_itself_is_explained(
    read: Callable[[Path], object], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="wanted a regular file; found a named pipe"):
        read(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="loop") as caught:
        read(tmp_path / "loop")
    assert str(user_message(caught.value)).endswith("remove it, or link it to the file")
