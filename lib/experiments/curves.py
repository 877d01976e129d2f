"""Runs against the number of their edits, row beside row: the points of a study, its pictures and its table.

What is drawn: editing (all edits so far, at each checkpoint), general abilities and weight changes, as in figures 3, 4,
7, 8 and table 1 of arXiv 2401.04700.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from lib.metrics.abilities import PERCENT, Line, lines
from lib.metrics.bootstrap import Floats
from lib.metrics.scores import KINDS
from lib.metrics.weights import TOTAL, shares
from lib.report.plots.panels import Panel, Series, panel_rows
from lib.report.plots.svg import Drawing, text_width
from lib.report.wording import figure, short

GROUPS = ("editing", "abilities", "weights")
"""What is drawn, each as a picture of its own."""
_KEY = ("row", "group", "measure", "unit", "edits")
_TOPS = (10.0, 20.0, 50.0)
_LEAST_WIDTH = 100.0
"""Of a panel, in the picture's units."""
_KL = "KL to the unedited model"
_WEIGHTS = {
    "manhattan": "Manhattan norm of ΔW",
    "largest": "largest singular value of ΔW",
    "frobenius": "Frobenius norm of ΔW",
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one run left."""

    evaluate: Mapping[str, Any]
    """results/evaluate.json."""
    retention: Sequence[Mapping[str, Any]]
    """The rows of retention.curve: none where nothing was scored on the way."""
    kl: Sequence[Mapping[str, Any]]
    """The same of KL to the unedited model."""
    abilities: Mapping[str, Any]
    """results/abilities.json."""
    weights: pl.DataFrame
    """weights.csv: the row of path `all` for each number of edits."""
    maps: Mapping[int, Mapping[str, Floats]] = field(default_factory=dict)
    """heat_maps.safetensors: blocks of |dW| by number of edits, and by path."""


def points(outcomes: Mapping[str, Sequence[Outcome]]) -> pl.DataFrame:
    """One line a row of the study, measure and number of edits, in the rows' order.

    Columns: row, group (editing, abilities, weights), measure, unit, edits, value (the mean over seeds), spread (of one
    seed half the width of its 95 % interval, of several their standard deviation; null where there is none), n
    (examples of an ability's task, all seeds together; null of another measure), seeds.
    """
    rows = [
        {"row": row, "seed": seed, **point}
        for row, runs in outcomes.items()
        for seed, run in enumerate(runs)
        for point in (*_editing(run), *_abilities(run), *_weights(run))
    ]
    schema = {"row": pl.String, "seed": pl.Int64, "group": pl.String, "measure": pl.String, "unit": pl.String,
              "edits": pl.Int64, "value": pl.Float64, "spread": pl.Float64, "n": pl.Int64}  # fmt: skip
    value, spread = pl.col("value"), pl.col("spread")
    over_seeds = pl.when(pl.len() > 1).then(value.std()).otherwise(spread.first()).alias("spread")
    examples = pl.when(pl.col("n").is_not_null().all()).then(pl.col("n").sum()).alias("n")
    return (
        pl.DataFrame(rows, schema=schema)
        .group_by(_KEY, maintain_order=True)
        .agg(value.mean(), over_seeds, examples, pl.len().alias("seeds"))
    )


def _point(
    group: str, measure: str, unit: str, edits: int, value: float, spread: float | None, n: int | None = None
) -> dict[str, Any]:
    return {"group": group, "measure": measure, "unit": unit, "edits": edits, "value": value, "spread": spread, "n": n}


def _editing(run: Outcome) -> Iterator[dict[str, Any]]:
    """The headline measure and KL of all edits so far; only of the end where nothing was scored on the way.

    Efficacy also of the oldest edits, which is what is retained.
    """
    curves = [
        (kind, kind, PERCENT, [point for point in run.retention if point["kind"] == kind]) for kind in ("score", *KINDS)
    ]
    for name, measure, unit, rows in (*curves, ("kl", _KL, "nats", run.kl)):
        of_group = {group: [point for point in rows if point["group"] == group] for group in ("all so far", "oldest")}
        curve_of = {measure: of_group["all so far"]}
        curve_of |= {f"{name} of the oldest": of_group["oldest"]} if name == "efficacy" else {}
        for title, curve in curve_of.items():
            for point in curve:
                yield _point("editing", title, unit, point["edits"], point["mean"], point["ci95"])
        end = _end(run.evaluate, name)
        if not of_group["all so far"] and end is not None:
            yield _point("editing", measure, unit, run.evaluate["n"], end["mean"], end["ci95"])


def _end(evaluate: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """The summary after the last edit: of KL, or of the headline measure."""
    after = evaluate["after"]
    summary: Mapping[str, Any] | None = after["locality"]["kl"] if name == "kl" else after[name][evaluate["headline"]]
    return summary


def _abilities(run: Outcome) -> Iterator[dict[str, Any]]:
    """Every task's headline: of the unedited model at 0, at the checkpoints, and at the end."""
    at = {int(number): _main(tasks) for number, tasks in run.abilities["sessions"].items()}
    last = _main(run.abilities["tasks"])
    at[run.evaluate["n"]] = last
    for task, line in last.items():
        yield _point("abilities", task, line.unit, 0, *line.before, line.n)
        for number, measured in sorted(at.items()):
            if task in measured and (after := measured[task].after) is not None:
                yield _point("abilities", task, line.unit, number, *after, line.n)


def _main(tasks: Mapping[str, Any]) -> dict[str, Line]:
    return {line.task: line for line in lines(tasks) if line.main}


def _weights(run: Outcome) -> Iterator[dict[str, Any]]:
    total = run.weights.filter(pl.col("path") == TOTAL).sort("edits")
    share_names = shares(total)
    for column, measure in (_WEIGHTS | share_names).items():
        unit = PERCENT if column in share_names else ""
        for edits, value in total.select("edits", column).iter_rows():
            yield _point("weights", measure, unit, edits, value, None)


def pictures(curves: pl.DataFrame) -> dict[str, Drawing]:
    """A picture for each group that has points: a line of panels for each measure, in it one for each row.

    In a row's panel the other rows stand in grey behind it, so that each line can be told from the others. A measure
    that is 0 throughout is not drawn; the table has it.
    """
    not_zero = curves.filter((pl.col("value") != 0).any().over("measure"))
    return {
        group: panel_rows(panels, panel_width=_panel_width(panels))
        for group in GROUPS
        if (panels := _panels(not_zero.filter(pl.col("group") == group)))
    }


def _panel_width(panels: Mapping[str, Sequence[Panel]]) -> float:
    """Enough for the longest name of a row, which stands over its panels."""
    return max(_LEAST_WIDTH, *(text_width(panel.title) for row in panels.values() for panel in row))


def most_changed(outcomes: Mapping[str, Sequence[Outcome]]) -> dict[str, Floats]:
    """The heat maps of each row's first seed at its checkpoints, by row and edits.

    They are of the matrix whose entries have changed most at its end. Nothing of a row without checkpoints.
    """
    maps: dict[str, Floats] = {}
    for row, runs in outcomes.items():
        if len(runs[0].maps) > 1:
            last = runs[0].maps[max(runs[0].maps)]
            path = max(last, key=lambda path: float(last[path].mean()))
            at = {edits: of_edits[path] for edits, of_edits in runs[0].maps.items() if path in of_edits}
            maps |= {f"{row}, {edits} edit{'s' * (edits != 1)}": blocks for edits, blocks in at.items()}
    return maps


def _panels(curves: pl.DataFrame) -> dict[str, list[Panel]]:
    """By measure a panel for each row."""
    return {
        _title(str(measure), str(unit)): [_panel(line, lines) for line in lines]
        for (measure, unit), points in curves.group_by(["measure", "unit"], maintain_order=True)
        for lines in (points.partition_by("row", maintain_order=True),)
    }


def _panel(line: pl.DataFrame, lines: Sequence[pl.DataFrame]) -> Panel:
    series = [_series(other_line, "after" if other_line is line else "context") for other_line in lines]
    return Panel(title=str(line["row"][0]), series=series, percent=line["unit"][0] == PERCENT, top=_top(lines))


def _top(lines: Sequence[pl.DataFrame]) -> float:
    """The end of a scale of percent: 100, or less where no value comes near it, as of a task that a model cannot do."""
    highest = max(value + (spread or 0.0) for line in lines for value, spread in line[["value", "spread"]].iter_rows())
    return next((top for top in _TOPS if highest <= top), 100.0)


def _series(line: pl.DataFrame, role: str) -> Series:
    spread = line["spread"].fill_null(0.0).to_list()
    return Series(label="", edits=line["edits"].to_list(), values=line["value"].to_list(), ci95=spread, role=role)


def table(curves: pl.DataFrame) -> str:
    """Every row after its last edit, and the unedited model's abilities: a Markdown table and what its numbers are."""
    measures = {str(point["measure"]): str(point["unit"]) for point in curves.iter_rows(named=True)}
    lines = [f"| row | edits | seeds | {' | '.join(_title(*measure) for measure in measures.items())} |"]
    lines.append(f"|---|{'---:|' * (len(measures) + 2)}")
    before = curves.filter(pl.col("edits") == 0).unique("measure", maintain_order=True)
    rows = {"unedited": before} | {
        str(row): points.filter(pl.col("edits") == points["edits"].max())
        for (row,), points in curves.group_by(["row"], maintain_order=True)
    }
    for row, last in rows.items():
        if len(last):
            cells = {point["measure"]: _cell(point) for point in last.iter_rows(named=True)}
            head = f"| {row} | {last['edits'][0]} | {last['seeds'][0]} "
            lines.append(f"{head}| {' | '.join(cells.get(measure, '') for measure in measures)} |")
    return "\n".join([*lines, "", _legend(curves)])


def _legend(curves: pl.DataFrame) -> str:
    """What stands behind ±, and of how many examples each ability is."""
    several = "the standard deviation over seeds where there are several"
    words = f"± is half of the 95 % interval over edits or examples, {several}."
    abilities = curves.filter((pl.col("group") == "abilities") & pl.col("n").is_not_null())
    counts = [
        f"{_title(str(measure))} {least:,}{'' if most == least else f' to {most:,}'}"
        for measure, least, most in abilities.group_by("measure", maintain_order=True)
        .agg(pl.col("n").min(), pl.col("n").max().alias("most"))
        .iter_rows()
    ]
    words += f" Examples, all seeds together: {', '.join(counts)}." if counts else ""
    nothing = curves.filter((pl.col("value") == 0).all().over("measure"))["measure"].unique(maintain_order=True)
    return f"{words} Not drawn, 0 throughout: {', '.join(map(_title, nothing))}." if len(nothing) else words


def _title(measure: str, unit: str = "") -> str:
    """A measure over its column or panels, with its unit where its name does not say it."""
    shown_unit = {PERCENT: ", %", "nats": ", nats"}.get(unit, "")
    return measure.replace("_", " ") + (shown_unit if "%" not in measure else "")


def _cell(point: Mapping[str, Any]) -> str:
    spread = point["spread"]
    if spread is not None:
        return figure((point["value"], spread), point["unit"])
    return f"{point['value']:.1f}" if point["unit"] == PERCENT else short(point["value"])
