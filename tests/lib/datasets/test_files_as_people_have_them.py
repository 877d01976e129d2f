"""Files as people and their tools write them: read, with a line about what was ignored or taken for something else."""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lib.core.errors import InputError
from lib.core.params import Facts, Own
from lib.data.dataset import Loaded, tell
from lib.data.files import read_json
from lib.datasets import counterfact, easyedit, own, zsre
from tests.helpers.datasets import dataset_preset

FACTS = Facts(
    split="test",
    limit=None,
    draw="first",
    pool_limit=None,
    extras=[],
    text_limit=None,
    folder="",
    max_reject_share=0.05,
    seed=0,
)
NO_POOL = Own(path="", pool="none")
PROMPT = "The capital of X is"
REWRITE = {
    "prompt": "The capital of {} is", "relation_id": "P1", "target_new": {"str": "Rome", "id": "Q1"},
    "target_true": {"str": "Oslo", "id": "Q2"}, "subject": "X",
}  # fmt: skip
LISTS = {"paraphrase_prompts": ["X has"], "neighborhood_prompts": ["Y has"], "generation_prompts": ["X is"]}


@pytest.fixture
def read_own(tmp_path: Path) -> Callable[..., Loaded]:
    def read(text: str, name: str = "facts.csv") -> Loaded:
        (tmp_path / name).write_bytes(text.encode())
        return own.load({"own": tmp_path / name}, FACTS, dataset_preset("own", "accuracy"), NO_POOL)

    return read


def edits(loaded: Loaded) -> list[tuple[str, str]]:
    return [(request.prompt, request.target_new) for request in loaded.requests]


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        ("prompt,target_new,notes\n{},Rome,hello\n", "column 'notes' ignored"),
        ("prompt,target_new,target_new_id\n{},Rome,Q1\n", "column 'target_new_id' ignored"),
        (",prompt,target_new\n0,{},Rome\n", "column 1 without a name (an index, as pandas writes it?) ignored"),
        ("prompt,target_new,,\n{},Rome,,\n", "column 3, 4 without a name (an index, as pandas writes it?) ignored"),
        ("Unnamed: 0,prompt,target_new\n0,{},Rome\n", "column 'Unnamed: 0' ignored"),
        ("Prompt,Target_New\n{},Rome\n", "column 'Prompt' read as prompt; column 'Target_New' read as target_new"),
        ("PROMPT , target new\n{},Rome\n", "column 'PROMPT' read as prompt; column 'target new' read as target_new"),
        ("\u200bprompt,target-new\n{},Rome\n", "column '\\u200bprompt' read as prompt"),
    ],
)
def test_columns_of_other_names_are_read_or_ignored_with_one_line(
    text: str, remark: str, read_own: Callable[..., Loaded], caplog: pytest.LogCaptureFixture
) -> None:
    loaded = read_own(text.format(PROMPT))
    assert (edits(loaded), loaded.rejects) == ([(PROMPT, "Rome")], [])
    with caplog.at_level(logging.WARNING):
        tell(loaded)
    (message,) = caplog.messages
    assert message.startswith("facts.csv: ")
    assert remark in message


def test_a_column_that_is_there_twice_under_two_spellings_is_an_error(read_own: Callable[..., Loaded]) -> None:
    with pytest.raises(InputError, match="the same one twice: prompt, Prompt"):
        read_own("prompt,Prompt,target_new\na,b,c\n")


@pytest.mark.parametrize(
    ("value", "answer", "remark"),
    [
        ("1998", "1998", "target_new: a number was read as text (1 row, the first on line 1)"),
        ("1998.0", "1998", "a number was read as text"),
        ("-2.5", "-2.5", "a number was read as text"),
        ('["Rome", "Roma"]', "Rome", "target_new: of several the first was taken (1 row, the first on line 1)"),
        ('[["Rome", "Roma"], ["Oslo"]]', "Rome", "of several the first was taken"),
        ('["", "Roma"]', "Roma", "of several the first was taken"),
        ("[1998, 1999]", "1998", "a number was read as text"),
    ],
)
def test_a_number_or_a_list_of_aliases_is_a_target(
    value: str, answer: str, remark: str, read_own: Callable[..., Loaded]
) -> None:
    loaded = read_own(f'{{"prompt": "{PROMPT}", "target_new": {value}}}', "facts.jsonl")
    assert (edits(loaded), loaded.rejects) == ([(PROMPT, answer)], [])
    assert any(remark in line for line in loaded.notes_of["facts.jsonl"])


def test_the_index_that_pandas_puts_into_parquet_is_ignored(tmp_path: Path) -> None:
    table = pa.table({"prompt": [PROMPT], "target_new": ["Rome"], "__index_level_0__": [0]})
    pq.write_table(table, tmp_path / "facts.parquet")
    loaded = own.load({"own": tmp_path / "facts.parquet"}, FACTS, dataset_preset("own", "accuracy"), NO_POOL)
    assert edits(loaded) == [(PROMPT, "Rome")]
    assert loaded.notes_of == {"facts.parquet": ["column '__index_level_0__' ignored"]}


def test_own_facts_may_be_a_json_array(read_own: Callable[..., Loaded]) -> None:
    loaded = read_own(json.dumps([{"prompt": PROMPT, "target_new": "Rome"}]), "facts.json")
    assert edits(loaded) == [(PROMPT, "Rome")]


def test_ids_that_are_floats_are_whole_numbers_and_an_empty_truth_is_none(as_json: Callable[..., Path]) -> None:
    records = [
        {"subject": "X", "prompt": PROMPT, "target_new": 1998, "case_id": 0.0, "ground_truth": [""]},
        {"subject": 1984, "prompt": "1984 was written by", "target_new": "Ann", "case_id": 1.0, "ground_truth": None},
    ]
    files = {"facts": as_json(records)}
    loaded = easyedit.load(files, FACTS, dataset_preset("easyedit", "success"), NO_POOL)
    read = [(edit.request_id, edit.subject, edit.target_new, edit.target_true) for edit in loaded.requests]
    assert read == [("0", "X", "1998", None), ("1", "1984", "Ann", None)]
    assert "case_id: a float was read as a whole number (2 rows, the first on line 1)" in loaded.notes_of["facts.json"]


def test_lists_of_counterfact_may_be_null_or_nested(as_json: Callable[..., Path]) -> None:
    records = [
        {"case_id": 0, "requested_rewrite": REWRITE, **LISTS, "neighborhood_prompts": None},
        {"case_id": 1, "requested_rewrite": REWRITE, **LISTS, "paraphrase_prompts": [["X has", "X owns"], "X got"]},
    ]
    files = {"facts": as_json(records)}
    loaded = counterfact.load(files, FACTS, dataset_preset("counterfact", "success"), NO_POOL)
    assert loaded.rejects == []
    assert loaded.requests[0].locality == ()
    assert loaded.requests[1].paraphrases == ("X has", "X owns", "X got")
    assert loaded.notes_of["facts.json"] == [
        "neighborhood_prompts: null was read as an empty list (1 row, the first on line 1)",
        "paraphrase_prompts: a list inside the list was taken apart (1 row, the first on line 2)",
        "field 'requested_rewrite.target_true.id' ignored",
    ]


MQUAKE = {"case_id": 1, "requested_rewrite": [REWRITE], "questions": ["q"]}
RIPPLE = {"example_type": "recent", "edit": {"prompt": PROMPT, "subject_id": "Q1"}, "Relation_Specificity": []}


@pytest.mark.parametrize(("record", "name"), [(MQUAKE, "MQuAKE"), (RIPPLE, "RippleEdits")])
@pytest.mark.parametrize("loader", [counterfact, easyedit, own, zsre])
def test_schemas_that_are_not_read_are_refused_by_name(
    record: object, name: str, loader: object, as_json: Callable[..., Path]
) -> None:
    path = as_json([record])
    files = dict.fromkeys(("facts", "own", "edits", "pool"), path)
    with pytest.raises(InputError, match=rf"facts\.json: .*found a record of {name}"):
        loader.load(files, FACTS, dataset_preset("x", "success", target="answers"), NO_POOL)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        ('A is,"B\nC is,D\nE is,F"\nG is,H\n', [2, 3, 4]),
        ('"A is,B\nC is",D\nE is,F\nG is,H\n', [2, 3]),
        ('A is,B\nC is,"D\n\nE is,F",\nG is,H\n', [3, 5]),
        ('A is,B\nC is,"D" x\nE is,F\n', [3]),
    ],
)
def test_a_stray_quote_rejects_the_lines_that_it_makes_one_row_of(
    rows: str, lines: list[int], read_own: Callable[..., Loaded]
) -> None:
    loaded = read_own(f"prompt,target_new\n{rows}")
    assert [reject.line for reject in loaded.rejects] == lines
    assert len(loaded.requests) + len(lines) == sum(bool(row) for row in rows.split("\n"))


def test_a_cell_of_several_lines_is_read_and_noted(read_own: Callable[..., Loaded]) -> None:
    loaded = read_own('prompt,target_new\n"Once\nupon",a time\nB is,C\n')
    assert edits(loaded) == [("Once\nupon", "a time"), ("B is", "C")]
    assert loaded.notes_of["facts.csv"] == ["a row runs over several lines (1 row, the first on line 2)"]


@pytest.mark.parametrize("prompt", ["\0", "\u200b", "\u200b\u200d \ufeff", "\x1b\x07", "\u3164", "\u0301", "\u202e"])
def test_a_prompt_without_a_character_that_can_be_seen_is_a_reject(
    prompt: str, read_own: Callable[..., Loaded]
) -> None:
    for name, text in (
        ("facts.csv", f"prompt,target_new\n{prompt},a\nB is,C\n"),
        ("facts.jsonl", "\n".join(json.dumps({"prompt": text, "target_new": "C"}) for text in (prompt, "B is"))),
    ):
        loaded = read_own(text, name)
        assert [reject.field for reject in loaded.rejects] == ["prompt"]
        assert edits(loaded) == [("B is", "C")]


def test_a_number_of_more_digits_than_python_reads_is_a_reject_with_its_line(
    read_own: Callable[..., Loaded], tmp_path: Path
) -> None:
    long = f'{{"prompt": "A is", "target_new": {"9" * 5000}}}'
    loaded = read_own(f'{{"prompt": "B is", "target_new": 7}}\n{long}\n', "facts.jsonl")
    (reject,) = loaded.rejects
    assert (reject.line, reject.field) == (2, "target_new")
    assert reject.reason == "wanted text; found a whole number of 5,000 digits"
    assert edits(loaded) == [("B is", "7")]
    (tmp_path / "facts.json").write_text(f"[{long}]")
    assert read_json(tmp_path / "facts.json").size == 1


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "device.json").symlink_to("/dev/zero")
    for name, kind in (("pipe.jsonl", "a named pipe"), ("folder.csv", "a folder"), ("device.json", "a device")):
        with pytest.raises(InputError, match=rf"{name}: wanted a regular file; found {kind}"):
            own.load({"own": tmp_path / name}, FACTS, dataset_preset("own", "accuracy"), NO_POOL)
