"""Compare two runs edit by edit: `python -m apps.compare REV_A REV_B [--json FILE] [--html FILE]`.

A revision is whatever DVC knows: an experiment's name, a branch, a tag, a commit, or `workspace` for the files as they
lie here. Both must have results/scores.parquet and data/requests.parquet in the workspace, in DVC's cache or in
the remote. What was measured on texts is compared where both have them. The headlines of the two come first.
"""

import argparse
import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import polars as pl

from lib.core.errors import InputError
from lib.core.files import read_json, write_json
from lib.core.params import ROOT
from lib.core.records import Divergence, Generation, Score
from lib.core.run import run
from lib.core.tables import frame, schema
from lib.experiments.runs import fetched
from lib.metrics import consistency, texts
from lib.metrics.comparison import FACTS, Comparison, ComparisonRow, RunTables, compare
from lib.metrics.headline import compared
from lib.report.headline import markdown
from lib.report.pages import render

SCORES = "results/scores.parquet"
REQUESTS = "data/requests.parquet"
GENERATIONS = "results/generations.parquet"
DIVERGENCES = "results/divergences.parquet"
FREQUENCIES = "data/frequencies.json"
EVALUATE = "metrics/evaluate.json"
_WITHOUT = {"argmax"}
"""What scores of older runs do not have."""


def main() -> None:
    options = _options()
    logging.getLogger("dvc").setLevel(logging.ERROR)
    a, b = _run(options.a), _run(options.b)
    without = ""
    try:
        a, b = _with_texts(a, b)
    except (FileNotFoundError, InputError) as error:
        without = f"\n\nTexts and KL are not compared, because not both runs have them. {error}"
    comparison = compare(a, b)
    if options.json:
        write_json(options.json, asdict(comparison))
    if options.html:
        options.html.parent.mkdir(parents=True, exist_ok=True)
        options.html.write_text(render("comparison.html.j2", runs=comparison), encoding="utf-8")
    print("\n\n".join([_headlines(a.name, b.name), table(comparison) + without]))


def _run(revision: str) -> RunTables:
    """What the run of `revision` left. Raises FileNotFoundError where that is nowhere to be found."""
    columns = [column for column in schema(Score).names if column not in _WITHOUT]
    scores = _table(revision, SCORES, columns)
    return RunTables(name=revision, edits=_table(revision, REQUESTS, ["request_id", *FACTS]), scores=scores)


def _with_texts(a: RunTables, b: RunTables) -> tuple[RunTables, RunTables]:
    """Both runs with what is measured on their texts, words weighing what they weigh in A.

    Raises FileNotFoundError or InputError where a run has left no texts, or texts of another version.
    """
    with fetched(ROOT, a.name, FREQUENCIES) as path:
        frequencies = consistency.read(path)
    with_texts_a, with_texts_b = (
        replace(
            run,
            text_measures=texts.of_run(
                _table(run.name, GENERATIONS, schema(Generation).names),
                _table(run.name, DIVERGENCES, schema(Divergence).names),
                run.edits,
                frequencies,
            ),
        )
        for run in (a, b)
    )
    return with_texts_a, with_texts_b


def _table(revision: str, path: str, columns: list[str]) -> pl.DataFrame:
    with fetched(ROOT, revision, path) as local:
        rows = frame(local)
    if absent := [column for column in columns if column not in rows.columns]:
        raise InputError(f"{path} of {revision!r}: wanted the columns {columns}, found none of the name {absent[0]!r}")
    return rows


def _headlines(*revisions: str) -> str:
    """The headline of each run, as it stands in its metrics file, or why there is none."""
    metrics: dict[str, Any] = {}
    for revision in revisions:
        try:
            with fetched(ROOT, revision, EVALUATE) as path:
                metrics[f"{'AB'[len(metrics)]}: {revision}"] = read_json(path)
        except (FileNotFoundError, InputError) as error:
            return f"The headlines are not compared, because not both runs have them. {error}"
    return "\n".join(markdown(metrics))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a", metavar="REV_A", help="an experiment, branch, tag or commit, or `workspace`")
    parser.add_argument("b", metavar="REV_B", help="the same; differences are B - A")
    parser.add_argument("--json", type=Path, help="also write the comparison there, unrounded")
    parser.add_argument("--html", type=Path, help="also write it there as a page")
    return parser.parse_args()


def table(comparison: Comparison) -> str:
    """The comparison as a Markdown table, and what it should be read with."""
    head = ("", "N", f"A: {comparison.a}", f"B: {comparison.b}", "B - A", "95 % (1.96 SE)", "95 % (bootstrap)",
            "sign test p", "B wins / ties / loses")  # fmt: skip
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}", *(_line(row) for row in comparison.rows)]
    for kind, count in comparison.other_prompts.items():
        lines += [
            "",
            f"Of {count} edits the two runs were asked other {kind} prompts: their means are of unlike prompts.",
        ]
    return "\n".join(lines)


def _line(row: ComparisonRow) -> str:
    spread = row.bootstrap
    cells = (
        compared(row.kind, row.measure),
        str(row.n),
        f"{row.a:.2f}",
        f"{row.b:.2f}",
        _signed(row.difference),
        "" if row.ci95 is None else f"{_signed(row.difference - row.ci95)} .. {_signed(row.difference + row.ci95)}",
        "" if spread is None else f"{_signed(spread.low)} .. {_signed(spread.high)}",
        "" if row.p_value is None else f"{row.p_value:.2g}",
        "" if row.wins is None else f"{row.wins} / {row.ties} / {row.losses}",
    )
    return f"| {' | '.join(cells)} |"


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}"  # never -0.00


if __name__ == "__main__":
    run(main)
