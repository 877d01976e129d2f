"""How time and memory of the stages grow with the number of edits, 10^2 to 10^4 from one file in EasyEdit's format.

Each size has a workspace of its own beside OUT: the code, with settings under which an edit is the same work at each
size, and a small model that is trained once, on the facts of the largest size (OUT-model, which stays). A stage runs as
dvc.yaml says it, in a process of its own. `seconds` and `peak` (MiB) are what the stage itself writes to metrics/usage,
`cpu` processor seconds of the process with its imports. A run that was stopped goes on with the stage that it was at;
a size that OUT.csv has is not run, and its workspace is removed. With --stream the edits arrive a hundred at a time, in
their order, for one editor and with nothing beside them.

    python -m bench.growth --folder FOLDER --file NAME --sizes 100 1000 10000 --out growth
    python -m bench.growth --folder FOLDER --file NAME --sizes 200 2000 20000 --pool 1000 --stream ultraedit --out out
"""

import argparse
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from bench.faults.workspace import Sandbox, change, copy_code, environment
from lib.core.files import read_json, write_json
from lib.report.plots.panels import Panel, Series, panels
from lib.report.plots.svg import Drawing

STAGES = ("facts", "paraphrase", "neighbors", "edit", "baseline", "score")
"""Those that work edit by edit: of the table and the picture."""
SETTINGS: Mapping[str, Any] = {
    "dataset": "easyedit",
    "model": "tiny",
    "editor": "lora",
    "para": {"n": 5, "backend": "transformers"},
    "neighbors": {"kind": "similar", "n": 20},
    "train": {"objective": "published", "epochs": 1, "batch_size": 64},
    "protocol": {"kind": "mass"},
}
"""What params.yaml has in place of its own values."""
STREAM_STAGES = ("facts", "edit", "baseline", "score")
"""With --stream: the others have nothing to do."""
STREAM: Mapping[str, Any] = {
    "para": {"method": "none"},
    "neighbors": {"kind": "none"},
    "protocol": {"kind": "sequential", "batch_size": 100},
    "score": {"greedy": {"limit": 200}},
}
"""The same for --stream, over those."""
TINY: Mapping[str, Any] = {"tiny": {"hidden": 64, "layers": 2, "inner": 192, "max_vocabulary": 4000, "steps": 150}}
"""Of the model: small, so that what errata does beside it is seen, and trained until it writes words."""
_COLUMNS = ("stage", "edits", "seconds", "cpu", "peak")
_ROLES = ("before", "after", "second", "third")
_LEAST_SECONDS = 1.0
"""Differences of processor seconds below this are noise."""
_HEADER = """\
| stage | edits | seconds | CPU s | CPU ms an edit | peak MiB | exponent | exponent beyond the start |
|---|---|---|---|---|---|---|---|"""

Row = Mapping[str, Any]


def main() -> None:
    """Measure the sizes that OUT.csv lacks; print the table and write the picture."""
    options = _options()
    table_file = options.out.with_suffix(".csv")
    rows: list[Row] = [*pl.read_csv(table_file).to_dicts()] if table_file.is_file() else []
    for size in options.sizes:
        if size not in {row["edits"] for row in rows}:
            workspace = _workspace(str(size), size, options, _model(options))
            rows += _measured(workspace, size, STREAM_STAGES if options.stream else STAGES)
            pl.DataFrame(rows).select(_COLUMNS).write_csv(table_file, float_precision=1)
            shutil.rmtree(workspace.folder)
    print(_HEADER, *table(rows), sep="\n")
    options.out.with_suffix(".svg").write_text(picture(rows).as_file(), encoding="utf-8")


def _model(options: argparse.Namespace) -> Path:
    """The folder of the unedited model, which is trained where it is not there."""
    workspace = _workspace("model", max(options.sizes), options)
    if not (workspace.folder / "metrics/usage/base.json").is_file():
        for stage in ("facts", "base"):
            _run(workspace, stage)
    return workspace.folder / "models/base"


def _workspace(name: str, edits: int, options: argparse.Namespace, model: Path | None = None) -> Sandbox:
    """Code and settings, and the model where it is there; what an earlier run has left where it has begun."""
    folder = options.out.with_name(f"{options.out.name}-{name}")
    if not folder.is_dir():
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        copy_code(unfinished)
        facts = {"folder": str(options.folder.resolve()), "limit": edits, "pool_limit": options.pool}
        stream = {**STREAM, "editor": options.stream} if options.stream else {}
        change(unfinished / "params.yaml", {**SETTINGS, **stream, "facts": facts})
        change(unfinished / "configs/datasets/easyedit.yaml", {"files": {"facts": {"name": options.file}}})
        change(unfinished / "configs/models/tiny.yaml", TINY)
        if model is not None:
            shutil.copytree(model, unfinished / "models/base", dirs_exist_ok=True)
        unfinished.rename(folder)
    return Sandbox(folder)


def _measured(workspace: Sandbox, edits: int, reported: Sequence[str]) -> list[Row]:
    """What each of these stages takes; every stage up to the last is run that has not been."""
    done_file = workspace.folder / "growth.json"
    done: dict[str, Row] = read_json(done_file) if done_file.is_file() else {}
    stages = workspace.stages
    for stage in stages[: stages.index(STAGES[-1]) + 1]:
        if stage not in done and stage != "base":
            cpu = round(_run(workspace, stage), 1)
            usage = read_json(workspace.folder / "metrics" / "usage" / f"{stage}.json")
            done[stage] = {"seconds": usage["seconds"], "cpu": cpu, "peak": float(usage["peak_memory_mib"])}
            write_json(done_file, done)
    return [{"stage": stage, "edits": edits, **done[stage]} for stage in reported]


def _run(workspace: Sandbox, stage: str) -> float:
    """Run the stage; the processor seconds of its process and of those that it has waited for."""
    command = [sys.executable, "-m", *workspace.command(stage)]
    process = subprocess.Popen(command, cwd=workspace.folder, env=environment(), stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_utime + usage.ru_stime


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The lines of the table in Markdown, stage by stage."""
    for stage in _stages_of(rows):
        of_stage = _of_stage(rows, stage)
        for number, row in enumerate(of_stage):
            values = [f"{row['edits']:,}", f"{row['seconds']:.1f}", f"{row['cpu']:.1f}"]
            values += [f"{1000 * row['cpu'] / row['edits']:.1f}", f"{row['peak']:,.0f}"]
            values.append(_in_words(exponent(of_stage[number - 1], row) if number else None))
            beyond = exponent_beyond_start(*of_stage[number - 2 : number + 1]) if number > 1 else None
            yield f"| {stage} | {' | '.join([*values, _in_words(beyond)])} |"


def exponent(smaller: Row, larger: Row) -> float:
    """The p of seconds ~ edits^p through two sizes, of processor seconds."""
    return math.log(larger["cpu"] / smaller["cpu"]) / math.log(larger["edits"] / smaller["edits"])


def exponent_beyond_start(first: Row, second: Row, third: Row) -> float | None:
    """The p of seconds ~ constant + edits^p, exact where each size is the same multiple of the size before it.

    None where the seconds hardly grow.
    """
    steps = [(later["cpu"] - row["cpu"], later["edits"] - row["edits"])
             for row, later in ((first, second), (second, third))]  # fmt: skip
    if any(seconds < _LEAST_SECONDS for seconds, _ in steps):
        return None
    return math.log(steps[1][0] / steps[0][0]) / math.log(steps[1][1] / steps[0][1])


def picture(rows: Sequence[Row]) -> Drawing:
    """Processor seconds and peak memory against the number of edits, a line for each stage."""
    contents = [_panel("seconds of the processor", rows, "cpu"), _panel("peak memory, MiB", rows, "peak")]
    return panels(contents, columns=2, x_label="edits", width=760, height=260)


def _panel(title: str, rows: Sequence[Row], column: str) -> Panel:
    series = []
    for number, stage in enumerate(_stages_of(rows)):
        of_stage = _of_stage(rows, stage)
        sizes, values = [row["edits"] for row in of_stage], [row[column] for row in of_stage]
        series.append(Series(label=stage, role=_ROLES[number % len(_ROLES)], edits=sizes, values=values))
    return Panel(title=title, series=series, percent=False, is_wide=True)


def _stages_of(rows: Sequence[Row]) -> list[str]:
    return [stage for stage in STAGES if _of_stage(rows, stage)]


def _of_stage(rows: Sequence[Row], stage: str) -> list[Row]:
    return sorted((row for row in rows if row["stage"] == stage), key=lambda row: row["edits"])


def _in_words(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="the folder with the file of edits")
    parser.add_argument("--file", default="counterfact-edit.json", help="its name; it also has the pool's facts")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--pool", type=int, default=11_900, help="unedited facts at every size")
    parser.add_argument("--stream", metavar="EDITOR", help="a hundred edits after another, by this editor")
    parser.add_argument(
        "--out", type=Path, required=True, help="OUT.csv and OUT.svg are written, OUT-SIZE is worked in"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
