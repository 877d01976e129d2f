"""The same stage by one and two processes, with one and two threads: what is equal, and how far the rest differs."""

from __future__ import annotations

import math
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
from safetensors.torch import load_file

from bench.faults import Findings, Scale, Trial
from bench.faults.forked import Ended, Forked, forked
from bench.faults.variants import each_stage, stages_of_variants, undisturbed
from bench.faults.workspace import small_sandbox
from lib.core.files import read_json, sha256
from lib.metrics.weights import ABOVE

TOLERANCE = 1e-3
"""Largest difference of a number that is none in words: a thousandth of a nat, of a percent, of a weight's unit."""
_HASH = re.compile("[0-9a-f]{64}")
"""A SHA-256 is of a file that is compared itself."""
SPREAD = ("paraphrase", "edit", "baseline", "score")
"""Stages that start a process for each GPU, or as ERRATA_PROCESSES says."""
SHARDED = ("recall", "edit", "baseline", "score", "abilities")
"""Those that hold the model together with ERRATA_SHARD=1; base does, too, to see that the model that it made loads."""
COLUMNS = ("settings", "stage", "processes", "threads each", "files equal in bytes", "largest difference of the others")
TEXT = """\
A stage of the small fixture, on the same inputs, by one process with one thread, and then with two threads, by two
processes with one and with two threads each, and by two that hold the model together (`shard`). The processes are
started as torchrun starts its workers, which tests/test_dag.py runs as it is. Stages that always are one process have
two threads tried alone; threads are those of torch and of polars. The last column has, for the files that are not
equal in bytes, the largest absolute difference of any number in them, and the file. A fault is a text, a row or a file
that is another, or a number that differs by more than 0.001; the SHA-256 in a manifest is of a file that is compared,
and a share of entries, in percent, may differ by one entry, whose last bit puts it on the other side of a threshold.
That is the 2.5e-02 of the sequential edit: one of 4,096; all other numbers of that table are within 0.001.
"""
UNREACHED = (
    "More than two processes or threads; several machines (tests/stages/test_edit_machines.py has two on one); GPUs, "
    "whose sums have other last bits, and NCCL.",
    "Trainings of many steps: a model that was hardly trained then makes much of the last bit of a sum.",
)


def measure(trial: Trial) -> Findings:
    """Every stage under every settings."""
    rows: list[dict[str, Any]] = []
    with small_sandbox() as workspace, TemporaryDirectory() as logs, ExitStack() as stack:
        first, second = (stack.enter_context(forked(workspace, Path(logs) / name)) for name in ("first", "second"))
        for variant, stage in each_stage(first):
            if not trial.asks_for(variant, stage):
                continue
            row = partial(stage_rows, first, second, stage, variant, trial.scale)
            rows.append(trial.once(f"{variant}-{stage}", row))
    return Findings(
        title="One and two processes, one and two threads",
        text=TEXT,
        columns=COLUMNS,
        rows=tuple(tuple(cells) for row in rows for cells in row["rows"]),
        faults=tuple(fault for row in rows for fault in row["faults"]),
        unreached=UNREACHED,
        key=2,
        order=stages_of_variants(),
    )


def ways(stage: str, scale: Scale) -> list[tuple[str, int, dict[str, str]]]:
    """What the stage is tried with: processes in words, threads, and further variables."""
    tried: list[tuple[str, int, dict[str, str]]] = [("1", 2, {})]
    if stage in SPREAD:
        tried += [("2", 1, {})] if scale == "small" else [("2", 1, {}), ("2", 2, {})]
    if stage in SHARDED and scale == "full":
        tried += [("2, shard", 1, {"ERRATA_SHARD": "1"})]
    return tried


def stage_rows(first: Forked, second: Forked, stage: str, variant: str, scale: Scale) -> dict[str, Any]:
    """The rows of a stage, and its faults."""
    undisturbed(first, stage)
    workspace = first.workspace
    expected = {name: (workspace.folder / name).read_bytes() for name in workspace.files(stage)}
    rows, faults = [], []
    for processes, threads, variables in ways(stage, scale):
        if "shard" in processes and variant.split(", ")[-1] in ("memit", "mend"):
            continue  # they need whole weights, and say so
        workspace.clear(stage)
        computing = {**variables, "OMP_NUM_THREADS": str(threads), "POLARS_MAX_THREADS": str(threads)}
        ended = (
            first.run(stage, None, False, **computing)
            if processes == "1"
            else together(first, second, stage, computing)
        )
        name = f"{variant}, {stage}, {processes} processes, {threads} threads"
        if ended.status:
            faults.append(f"{name}: exit status {ended.status} ({ended.error})")
            rows.append([variant, stage, processes, str(threads), "none", f"exit status {ended.status}"])
            continue
        same, unequal = compared(workspace.folder, expected, workspace.files(stage))
        largest = max(unequal.items(), key=lambda item: item[1], default=("", 0.0))
        words = "-" if not unequal else f"{largest[1]:.1e} in {largest[0]}"
        rows.append([variant, stage, processes, str(threads), f"{same} of {len(expected)}", words])
        faults += [f"{name}: {file} differs by {by:.1e}" for file, by in unequal.items() if not by <= TOLERANCE]
    for file, content in expected.items():
        path = workspace.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return {"rows": rows, "faults": faults}


def together(first: Forked, second: Forked, stage: str, variables: Mapping[str, str]) -> Ended:
    """How the stage ends by two processes, started as torchrun starts its workers; the first's, or the worse."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {**variables, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    workers = (first, second)
    started = [worker.start(stage, None, False, **shared, RANK=str(rank), LOCAL_RANK=str(rank))
               for rank, worker in enumerate(workers)]  # fmt: skip
    ended = [worker.end(process) for worker, process in zip(workers, started, strict=True)]
    return next((of_worker for of_worker in ended if of_worker.status), ended[0])


def compared(folder: Path, expected: Mapping[str, bytes], actual: Mapping[str, str]) -> tuple[int, dict[str, float]]:
    """How many files are equal in bytes, and the largest difference of a number in each other one: infinite where it is
    none of numbers alone."""
    before = folder.with_name("before")
    same, unequal = 0, {}
    for name in sorted({*expected, *actual}):
        if name not in expected or name not in actual:
            unequal[name] = math.inf
            continue
        path = before / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(expected[name])
        if sha256(path) == actual[name]:
            same += 1
        else:
            unequal[name] = difference(path, folder / name)
    return same, unequal


def difference(path: Path, compared_to: Path) -> float:
    """The largest absolute difference of a number in two files of a kind; infinite where anything else differs."""
    left, right = (_values(each) for each in (path, compared_to))
    for share in _shares_equal_but_for_an_entry(left, right):
        left, right = ({name: column for name, column in table.items() if name != share} for table in (left, right))
    return _difference(left, right)


def _shares_equal_but_for_an_entry(left: Any, right: Any) -> list[str]:
    """Of two tables of weights the columns of shares in percent, of `entries`, that differ by an entry at most: whose
    last bit puts it on the other side of a threshold."""
    if not (isinstance(left, dict) and isinstance(right, dict) and left.get("entries", 0) == right.get("entries", 1)):
        return []
    return [
        name
        for name in left
        if name.startswith(ABOVE)
        and all(
            abs(first - second) * entries / 100 < 1.5
            for first, second, entries in zip(left[name], right.get(name, []), left["entries"], strict=True)
        )
    ]


def _values(path: Path) -> Any:
    """What the file holds, as lists, mappings, numbers and texts; its bytes where it is of another kind."""
    if path.suffix == ".safetensors":
        return {name: tensor.flatten().tolist() for name, tensor in load_file(path).items()}
    if path.suffix == ".parquet":
        return pl.read_parquet(path).to_dict(as_series=False)
    if path.suffix == ".csv":
        return pl.read_csv(path).to_dict(as_series=False)
    return read_json(path) if path.suffix == ".json" else path.read_bytes()


def _difference(left: Any, right: Any) -> float:
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return _largest(left.values(), (right.get(key) for key in left)) if left.keys() == right.keys() else math.inf
    if isinstance(left, list) and isinstance(right, list):
        return _largest(left, right) if len(left) == len(right) else math.inf
    if isinstance(left, float) and isinstance(right, float):
        return abs(left - right)
    if isinstance(left, str) and isinstance(right, str) and _HASH.fullmatch(left) and _HASH.fullmatch(right):
        return 0.0
    return 0.0 if left == right else math.inf


def _largest(left: Iterable[Any], right: Iterable[Any]) -> float:
    pairs: Sequence[tuple[Any, Any]] = list(zip(left, right, strict=True))
    return max((_difference(first, second) for first, second in pairs), default=0.0)
