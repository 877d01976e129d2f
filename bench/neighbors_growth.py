"""How time and memory of stage `neighbors` grow with the pool: synthetic facts, each size in a process of its own.

Facts are of 40 relations about people of 5,000 first and 20,000 last names; edits are of the same kind, with two
paraphrases and ten neighborhood prompts each. `filter` is the overlap filter, `search` everything after it, `CPU` both
in processor time, `peak` the most memory that the process held. Similar neighbors are then compared with brute force
for some of the edits.

    python -m bench.neighbors_growth --sizes 1000 10000 100000 --requests 1000 --out growth
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import polars as pl

from lib.core.records import Fact, LocalityPrompt, Request, UneditedFact
from lib.core.tables import RowNumbers, Streamed, write_parts
from lib.neighbors.encoders import encoder
from lib.neighbors.overlap import without_overlap
from lib.neighbors.retrieval import Retrieved, neighbor_tables, random_neighbors, similar_neighbors
from lib.report.plots.panels import Panel, Series, panels
from lib.report.plots.svg import Drawing

N = 20
"""Neighbors of an edit."""
_RELATIONS, _FIRST, _LAST, _OBJECTS = 40, 5_000, 20_000, 500
_WRITTEN = 50_000
_COLUMNS = ("kind", "size", "filter", "search", "cpu", "peak", "same")
_ROLES = ("before", "after", "second", "third")
KINDS = {"random": "", "similar, Flat": "Flat", "similar, IVF": "IVF256,Flat", "similar, HNSW": "HNSW16"}


def main() -> None:
    """Measure every kind at every size, or one of them where this is such a process."""
    options = _options()
    if options.kind is not None:
        print(json.dumps(measure(options.kind, options.sizes[0], options.requests, options.checked)))
        return
    rows = []
    print(
        f"{options.requests} edits, {N} neighbors each\n{'kind':>14} {'facts':>9} {'filter s':>9} {'search s':>9}",
        end="",
    )
    print(f" {'CPU s':>9} {'peak MiB':>9} {'as brute force':>15}")
    for kind in options.kinds:
        for size in options.sizes:
            row = _in_a_process(kind, size, options)
            rows.append(row)
            print(f"{kind:>14} {size:>9} {row['filter']:>9.1f} {row['search']:>9.1f}", end="")
            print(f" {row['cpu']:>9.1f} {row['peak']:>9.0f} {row['same']:>15}", flush=True)
    if options.out is not None:
        pl.DataFrame(rows).select(_COLUMNS).write_csv(options.out.with_suffix(".csv"), float_precision=1)
        options.out.with_suffix(".svg").write_text(picture(rows).as_file(), encoding="utf-8")


def measure(kind: str, size: int, edits: int, checked: int) -> dict[str, Any]:
    """Seconds of both parts, peak memory in MiB, and how many of `checked` edits got what brute force finds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_parts(folder / "pool.parquet", Fact, _facts(size))
        pool, requests = Streamed(path=folder / "pool.parquet", kind=Fact), _requests(edits)
        began, cpu = time.perf_counter(), time.process_time()
        usable = without_overlap(requests, pool).rows
        filtered = time.perf_counter()
        if kind == "random":
            neighbors = random_neighbors(requests, usable, N, 0)
        else:
            neighbors = similar_neighbors(requests, pool, usable, N, encoder("hashing", "cpu"), KINDS[kind], folder)
        write_parts(folder / "neighbors.parquet", UneditedFact, neighbor_tables(requests, pool, neighbors))
        ended, cpu = time.perf_counter(), time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        same = "" if kind == "random" else _like_brute_force(requests[:checked], pool, usable, neighbors)
    return {
        "kind": kind,
        "size": size,
        "filter": filtered - began,
        "search": ended - filtered,
        "cpu": cpu,
        "peak": peak,
        "same": same,
    }


def _like_brute_force(requests: Sequence[Request], pool: Streamed, usable: RowNumbers, neighbors: Retrieved) -> str:
    """Of these edits' neighbors, the share that comparing each edit with each usable fact finds in the same place."""
    encode = encoder("hashing", "cpu").encode
    queries = encode([request.prompt for request in requests]).astype(np.float64)
    similarities = np.full((len(requests), len(pool)), -np.inf)
    for start, part in pool.parts("prompt"):
        rows = usable[(usable >= start) & (usable < start + part.height)]
        vectors = encode(part["prompt"].gather(rows - start).to_list()).astype(np.float64)
        for index, query in enumerate(queries):
            similarities[index, rows] = np.round((vectors * query).sum(axis=1), 12)
    best = np.argsort(-similarities, axis=1, kind="stable")[:, : neighbors.rows.shape[1]]
    return f"{(best == neighbors.rows[: len(requests)]).mean():.2%}"


def _facts(number: int) -> Iterator[pl.DataFrame]:
    random = Random("bench/facts")
    for start in range(0, number, _WRITTEN):
        facts = [_random_fact(random) for _ in range(min(_WRITTEN, number - start))]
        yield pl.DataFrame(
            {
                "fact_id": [str(start + index) for index in range(len(facts))],
                "subject": [subject for subject, _, _ in facts],
                "relation": [f"P{relation}" for _, relation, _ in facts],
                "prompt": [_prompt(subject, relation) for subject, relation, _ in facts],
                "target": [target for _, _, target in facts],
                "template": [_prompt("{}", relation) for _, relation, _ in facts],
            }
        )


def _requests(number: int) -> list[Request]:
    random = Random("bench/edits")
    return [_request(index, random) for index in range(number)]


def _request(index: int, random: Random) -> Request:
    subject, relation, target = _random_fact(random)
    same_relation = [_random_fact(random) for _ in range(10)]
    return Request(
        request_id=str(index),
        dataset="bench",
        subject=subject,
        relation=f"P{relation}",
        prompt=_prompt(subject, relation),
        template=_prompt("{}", relation),
        target_new=_random_fact(random)[2],
        target_true=target,
        paraphrases=(f"It rained. {_prompt(subject, relation)}", f"{subject}, whose matter {relation} is"),
        locality=tuple(LocalityPrompt(prompt=_prompt(name, relation), target=target) for name, _, _ in same_relation),
    )


def _random_fact(random: Random) -> tuple[str, int, str]:
    """A subject, a relation and an object."""
    name = f"First{random.randrange(_FIRST)} Last{random.randrange(_LAST)}"
    return name, random.randrange(_RELATIONS), f"object {random.randrange(_OBJECTS)}"


def _prompt(subject: str, relation: int) -> str:
    return f"The matter{relation} of {subject} is known to be"


def _in_a_process(kind: str, size: int, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.neighbors_growth", "--kind", kind, "--sizes", str(size)]
    command += ["--requests", str(options.requests), "--checked", str(options.checked)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def picture(rows: Sequence[dict[str, Any]]) -> Drawing:
    """Seconds and peak memory against the number of facts."""
    seconds = [row["filter"] + row["search"] for row in rows]
    contents = [_panel("filter and search, seconds", rows, seconds)]
    contents.append(_panel("peak memory, MiB", rows, [row["peak"] for row in rows]))
    return panels(contents, columns=2, x_label="facts in the pool", width=760, height=220)


def _panel(title: str, rows: Sequence[dict[str, Any]], values: Sequence[float]) -> Panel:
    """A line for each kind; `values` are the rows'."""
    series = []
    for kind, role in zip(dict.fromkeys(row["kind"] for row in rows), _ROLES, strict=False):
        points = [(row["size"], value) for row, value in zip(rows, values, strict=True) if row["kind"] == kind]
        sizes, of_kind = zip(*points, strict=True)
        series.append(Series(label=kind, role=role, edits=sizes, values=of_kind))
    return Panel(title=title, series=series, percent=False, is_wide=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10**power for power in range(3, 7)])
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS)[:2])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--checked", type=int, default=20, help="edits whose neighbors are compared with brute force")
    parser.add_argument("--out", type=Path, default=None, help="also write OUT.csv, and OUT.svg with the curves")
    parser.add_argument("--kind", choices=list(KINDS), default=None, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
