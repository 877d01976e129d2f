"""Fuzzed files of every dataset that is read: own facts in four formats, CounterFact, ZsRE, WikiRecent, EasyEdit's."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from bench.faults.fuzz import mutations, sound
from bench.faults.fuzz.cases import Loader, RowCount
from lib import datasets
from lib.core.params import Dataset, Facts, Own, preset
from lib.core.records import Fact, Reject, Request
from lib.core.tables import write
from lib.data import dataset, edits, sources
from lib.data.dataset import Loaded

FACTS = Facts(
    split="test",
    limit=None,
    draw="first",
    pool_limit=None,
    folder="",
    extras=[],
    text_limit=8,
    max_reject_share=1.0,
    seed=0,
)


def _read(
    of: str, role: str, beside: Mapping[str, str], counted: Callable[[Path], int | None], path: Path
) -> RowCount | None:
    """What stage facts does with a dataset whose file of this role is at `path`."""
    values, own, folder = preset("datasets", of, Dataset), Own(path="", pool="none"), path.parent
    files = {role: sources.user_file(path, "own.path").path}
    files |= {
        role_beside: sources.user_file(folder / name, "facts.folder").path for role_beside, name in beside.items()
    }
    loaded = datasets.load(values.loader, files, FACTS, values, own)
    dataset.tell(loaded)
    checked = edits.checked(loaded).loaded
    write(folder / "rejects.parquet", Reject, checked.rejects)
    dataset.check(checked, 1.0, folder / "rejects.parquet")
    write(folder / "requests.parquet", Request, checked.requests)
    write(folder / "pool.parquet", Fact, checked.pool)
    (folder / "notes.json").write_text(json.dumps(loaded.notes_of, ensure_ascii=False), encoding="utf-8")
    return None if role == "snippets" else _reading(loaded, path.name, role, counted(path))


def _reading(loaded: Loaded, name: str, role: str, expected: int | None) -> RowCount:
    if role == "pool":
        lines = {int(fact.fact_id) + 1: f"{fact.prompt}\0{fact.target}" for fact in loaded.pool}
    else:
        edits_by_line = {loaded.lines[edit.request_id][1]: edit for edit in loaded.requests}
        lines = {line: f"{edit.prompt}\0{edit.target_new}" for line, edit in edits_by_line.items()}
    rejects = frozenset(reject.line for reject in loaded.rejects if reject.file == name)
    return RowCount(rows=loaded.rows_of[name], lines=lines, rejects=rejects, expected=expected)


def _json_records(path: Path) -> int | None:
    """Counted by what does not care what the numbers are."""
    records: list[Any] = json.loads(path.read_bytes().decode("utf-8-sig"), parse_int=str)
    return len(records)


def _jsonl_records(path: Path) -> int:
    return sum(bool(line.strip()) for line in path.read_bytes().decode("utf-8-sig").split("\n"))


def _parquet_records(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def jsonl(name: str, values: Any, random: Random) -> bytes:
    """One value a line; of a value that is no list, that value."""
    rows = values if isinstance(values, list) else [values]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def _csv(name: str, values: Any, random: Random) -> bytes | None:
    if not isinstance(values, list) or not all(isinstance(row, dict) for row in values) or not values:
        return None
    columns = list(dict.fromkeys(key for row in values for key in row))
    random.shuffle(columns) if random.random() < 0.3 else None
    text = io.StringIO(newline="")
    quoting: Literal[0, 1] = random.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    writer = csv.writer(text, lineterminator=random.choice(("\n", "\r\n", "\r")), quoting=quoting)
    writer.writerow(columns)
    for row in values:
        writer.writerow([_cell(row.get(column)) for column in columns])
    return text.getvalue().encode("utf-8", errors="replace")


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return " | ".join(
            f"{item.get('prompt')} => {item.get('target')}" if isinstance(item, dict) else str(item) for item in value
        )
    return "" if value is None else str(value)


def _parquet(name: str, values: Any, random: Random) -> bytes | None:
    if not isinstance(values, list) or not all(isinstance(row, dict) for row in values) or not values:
        return None
    sink = pa.BufferOutputStream()
    try:
        table = pa.Table.from_pylist(values)
        column = random.randrange(table.num_columns)
        kind = random.random()
        if kind < 0.1:
            table = table.append_column(table.column_names[column], table.column(column))
        elif kind < 0.4:
            other_types = (
                pa.binary(),
                pa.large_string(),
                pa.int64(),
                pa.float32(),
                pa.bool_(),
                pa.timestamp("us"),
                pa.dictionary(pa.int32(), pa.string()),
                pa.date32(),
                pa.null(),
                pa.list_(pa.string()),
                pa.decimal128(9, 2),
                pa.map_(pa.string(), pa.string()),
            )
            kind_of = random.choice(other_types)
            array = (
                pa.nulls(table.num_rows, kind_of) if random.random() < 0.3 else _of_type(table.column(column), kind_of)
            )
            table = table.set_column(column, table.column_names[column], array)
        pq.write_table(table, sink)
    except (pa.ArrowException, UnicodeEncodeError, OverflowError, TypeError, ValueError):
        return None
    return bytes(sink.getvalue().to_pybytes())


def _of_type(array: Any, kind: pa.DataType) -> pa.Array:
    samples = {
        pa.binary(): b"\xff",
        pa.int64(): 7,
        pa.float32(): float("nan"),
        pa.bool_(): True,
        pa.timestamp("us"): 10**15,
        pa.date32(): 7,
        pa.list_(pa.string()): ["a", None],
        pa.decimal128(9, 2): 1,
        pa.map_(pa.string(), pa.string()): [("a", "b")],
    }
    return array.cast(kind) if kind not in samples else pa.array([samples[kind]] * len(array), kind)


def _loader(
    name: str,
    values: Any,
    encode: Callable[[str, Any, Random], bytes | None],
    role: str,
    counted: Callable[[Path], int | None],
    *,
    of: str = "own",
    suffix: str = "json",
    beside: Mapping[str, tuple[str, Any]] | None = None,
) -> Loader:
    random = Random(0)
    file = f"facts.{suffix}"
    data = encode(file, values, random)
    assert data is not None
    contents = {file_beside: json.dumps(content).encode() for file_beside, content in (beside or {}).values()}
    roles = {role_beside: file_beside for role_beside, (file_beside, _) in (beside or {}).items()}
    return Loader(
        name=name,
        files={file: data, **contents},
        values={file: values},
        encode=encode,
        fixed=tuple(contents),
        read=lambda folder: _read(of, role, roles, counted, folder / file),
    )


def _json(name: str, values: Any, random: Random) -> bytes:
    return mutations.json_bytes(values, random)


def _none(path: Path) -> None:
    """Of CSV, stray quotes leave open what a row is."""


LOADERS = (
    _loader("own CSV", sound.own_rows(), _csv, "own", _none, suffix="csv"),
    _loader("own JSON", sound.own_rows(), _json, "own", _json_records),
    _loader("own JSON Lines", sound.own_rows(), jsonl, "own", _jsonl_records, suffix="jsonl"),
    _loader("own Parquet", sound.own_rows(), _parquet, "own", _parquet_records, suffix="parquet"),
    _loader(
        "CounterFact",
        sound.counterfact(),
        _json,
        "facts",
        _json_records,
        of="counterfact",
        beside={"snippets": ("snippets.json", sound.snippets())},
    ),
    _loader("MultiCounterFact", sound.counterfact(), _json, "facts", _json_records, of="multi_counterfact"),
    _loader(
        "ZsRE, edits",
        sound.zsre(),
        _json,
        "edits",
        _json_records,
        of="zsre",
        beside={"pool": ("pool.json", sound.zsre())},
    ),
    _loader(
        "ZsRE, pool",
        sound.zsre(),
        _json,
        "pool",
        _json_records,
        of="zsre",
        beside={"edits": ("edits.json", sound.zsre())},
    ),
    _loader(
        "WikiRecent",
        sound.knowedit(),
        _json,
        "test",
        _json_records,
        of="wikirecent",
        beside={"counterfact": ("counterfact.json", sound.counterfact())},
    ),
    _loader("EasyEdit", sound.easyedit(), _json, "facts", _json_records, of="easyedit"),
    _loader("MQuAKE", sound.mquake(), _json, "facts", _json_records, of="mquake"),
    _loader("RippleEdits", sound.ripple_edits(), _json, "facts", _json_records, of="ripple_edits"),
    _loader("WikiBigEdit", sound.wikibigedit(), _json, "facts", _json_records, of="wikibigedit"),
    _loader("KnowEdit", sound.knowedit(), _json, "facts", _json_records, of="knowedit"),
    _loader(
        "snippets",
        sound.snippets(),
        _json,
        "snippets",
        _json_records,
        of="counterfact",
        beside={"facts": ("cf.json", sound.counterfact())},
    ),
)
