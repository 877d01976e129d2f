"""Fuzzed files that are no dataset: plain text, an almanac's relation, word weights, tasks' data, settings in YAML."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.faults.fuzz.cases import Loader, RowCount, encoded
from bench.faults.fuzz.datasets import FACTS, jsonl
from lib.abilities import documents
from lib.core import tables
from lib.core.files import check_hashes
from lib.core.params import ROOT, read_params
from lib.core.records import Request, Text
from lib.core.tables import Stored, Streamed, write
from lib.data.almanac import relation_facts
from lib.data.plain_text import plain_text
from lib.experiments.files import read_experiments
from lib.metrics import consistency

_LINES = "\n".join(f"Line {number} of a text, with a word or two: é, 中文." for number in range(40))
_ALMANAC = (ROOT / "lib" / "data" / "almanac" / "planet.tsv").read_bytes()
_CONLL = (
    "-DOCSTART- -X- -X- O\n\nAda NNP B-NP B-PER\nlives VBZ B-VP O\nin IN B-PP O\nNew NNP B-NP B-LOC\n"
    "York NNP I-NP I-LOC\n\nSo RB B O\n\n"
)
_RTE = 'sentence1\tsentence2\tlabel\tidx\nAda lives in Rome.\tAda lives.\t0\t1\n"A ""b"" c"\tNo.\t1\t2\n'
_GLUE = 'index\tsentence1\tsentence2\tlabel\n0\tAda lives in "Rome.\tAda lives.\tentailment\n1\tA\tB\tnot_entailment\n'
_TASKS: dict[str, list[dict[str, Any]]] = {
    "gsm8k": [{"question": "1 + 1?", "answer": "It is two.\n#### 2"}] * 3,
    "natural_questions": [{"question": "who?", "answer": ["Ada", "Ben"], "output": ["\n\nIt was Ada."]}] * 3,
    "boolq": [{"question": "so", "title": "t", "answer": True, "passage": "It is so."}] * 3,
    "mutual": [{"answers": "B", "options": ["a", "b", "c", "d"], "article": "m: hello", "id": "1"}] * 3,
    "samsum": [{"id": "1", "dialogue": "A: hi\r\nB: ho", "summary": "They greet."}] * 3,
    "sst2": [{"sentence": "so good ", "label": 1}] * 3,
}


def _plain(folder: Path) -> None:
    pieces = plain_text({"text": folder / "text.txt"}, FACTS)
    write(folder / "out.parquet", Text, pieces)


def _articles(folder: Path) -> None:
    pieces = plain_text({"text": folder / "text.parquet"}, FACTS, without={"rome"})
    write(folder / "out.parquet", Text, pieces)


def _articles_file(name: str, values: Any, random: Random) -> bytes | None:
    try:
        table = pa.Table.from_pylist(values)
        for column in range(table.num_columns):
            if random.random() < 0.2:
                kind, sample = random.choice(
                    (
                        (pa.int64(), 7),
                        (pa.binary(), b"\xff"),
                        (pa.list_(pa.string()), ["a"]),
                        (pa.null(), None),
                        (pa.float64(), 0.5),
                    )
                )
                table = table.set_column(column, table.column_names[column], pa.array([sample] * table.num_rows, kind))
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
    except (pa.ArrowException, UnicodeEncodeError, OverflowError, TypeError, ValueError, AttributeError):
        return None
    return bytes(sink.getvalue().to_pybytes())


def _almanac(folder: Path) -> None:
    relation_facts(folder / "planet.tsv")


def _idf() -> bytes:
    sink = io.BytesIO()
    np.save(sink, np.array([1.0, 2.0, 3.0]))
    return sink.getvalue()


def _weights(folder: Path) -> None:
    frequencies = consistency.published(folder / "idf.npy", folder / "tfidf_vocab.json")
    consistency.write(folder / "frequencies.json", frequencies)
    consistency.cosines(frequencies, [("rome oslo", "rome")])


def _frequencies(folder: Path) -> None:
    consistency.cosines(consistency.read(folder / "frequencies.json"), [("rome oslo", "rome")])


def _task(reader: str, name: str) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        from lib.abilities.tasks import _splits

        _splits(test=documents.documents(documents.rows(folder / name), reader, name))

    return read


def _task_loader(reader: str) -> Loader:
    lines = reader not in ("samsum", "sst2")
    name = f"{reader}.jsonl" if lines else f"{reader}.json"
    values = _TASKS[reader]
    data = jsonl(name, values, Random(0)) if lines else json.dumps(values).encode()
    read, encode = _task(reader, name), jsonl if lines else encoded
    return Loader(name=f"task {reader}", files={name: data}, values={name: values}, read=read, encode=encode)


def _text_loader(name: str, file: str, data: bytes, read: Callable[[Path], RowCount | None]) -> Loader:
    return Loader(name=name, files={file: data}, values={}, read=read)


def _yaml(name: str, values: Any, random: Random) -> bytes:
    """JSON is YAML."""
    return json.dumps(values, indent=1, ensure_ascii=False).encode("utf-8", errors="replace")


def _params(folder: Path) -> None:
    from lib.core import params
    from lib.core.root import Params

    params.check(read_params(folder / "params.yaml"), Params, "params.yaml")


def _experiments(folder: Path) -> None:
    study = read_experiments(folder / "rows.yaml")
    for row in study.selected([]):
        for seed in study.seeds:
            study.changes(row, seed, [], "small")
            study.slug(row, seed)


def _table(folder: Path) -> None:
    path = folder / "requests.parquet"
    tables.read(path, Request)
    list(Stored(path, Request))
    list(Streamed(path=path, kind=Request).parts("prompt"))


def _requests() -> bytes:
    requests = [
        Request(
            request_id=f"e{number}",
            dataset="own",
            subject=None,
            relation=None,
            prompt="Ada lives in",
            template=None,
            target_new="Rome",
            target_true=None,
            paraphrases=("a", "b"),
        )
        for number in range(50)
    ]
    sink = pa.BufferOutputStream()
    rows = [
        {
            "request_id": row.request_id,
            "dataset": row.dataset,
            "subject": None,
            "relation": None,
            "prompt": row.prompt,
            "template": None,
            "target_new": row.target_new,
            "target_true": None,
            "separator": None,
            "paraphrases": list(row.paraphrases),
            "train_paraphrases": [],
            "locality": [],
            "generation_prompts": [],
            "references": [],
        }
        for row in requests
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=tables.schema(Request)), sink)
    return bytes(sink.getvalue().to_pybytes())


def _hashes(folder: Path) -> None:
    check_hashes(folder)


_ARTICLES = [
    {"id": str(number), "title": f"Town {number}", "text": f"Town {number} is a town.\n"} for number in range(12)
]
_VOCABULARY = {"rome": 0, "oslo": 1, "pau": 2}
_STUDY = read_params(ROOT / "experiments" / "rows.yaml")
LOADERS = (
    _text_loader("plain text", "text.txt", _LINES.encode(), _plain),
    Loader(
        name="articles, Parquet",
        files={"text.parquet": _articles_file("", _ARTICLES, Random(1)) or b""},
        values={"text.parquet": _ARTICLES},
        encode=_articles_file,
        read=_articles,
    ),
    _text_loader("almanac relation", "planet.tsv", _ALMANAC, _almanac),
    Loader(
        name="published word weights",
        files={"idf.npy": _idf(), "tfidf_vocab.json": json.dumps(_VOCABULARY).encode()},
        values={"tfidf_vocab.json": _VOCABULARY},
        read=_weights,
    ),
    Loader(
        name="word weights",
        files={"frequencies.json": b'{"words": ["oslo", "rome"], "idf": [1.0, 2.0]}'},
        values={"frequencies.json": {"words": ["oslo", "rome"], "idf": [1.0, 2.0]}},
        read=_frequencies,
    ),
    *map(_task_loader, _TASKS),
    _text_loader("task rte", "rte_dev.tsv", _RTE.encode(), _task("rte", "rte_dev.tsv")),
    _text_loader("task rte, as GLUE has it", "dev.tsv", _GLUE.encode(), _task("rte", "dev.tsv")),
    _text_loader("task conll2003", "conll.txt", _CONLL.encode(), _task("conll2003", "conll.txt")),
    Loader(
        name="params.yaml",
        files={"params.yaml": (ROOT / "params.yaml").read_bytes()},
        values={"params.yaml": read_params()},
        encode=_yaml,
        read=_params,
    ),
    Loader(
        name="experiments/*.yaml",
        files={"rows.yaml": (ROOT / "experiments" / "rows.yaml").read_bytes()},
        values={"rows.yaml": _STUDY},
        encode=_yaml,
        read=_experiments,
    ),
    _text_loader("a table between stages", "requests.parquet", _requests(), _table),
)
