"""Published results to set beside ours: those of the two papers that experiments/ft and experiments/rect are about.

Transcribed from "Model Editing by Standard Fine-Tuning" (Gangadhar and Stratos, 2024, arXiv 2402.11078), in percent,
and from "Model Editing Harms General Abilities of LLMs" (Gu et al., 2024, arXiv 2401.04700). They are of other models,
other sizes and other numbers of edits than most runs here: a scale to read our numbers against, not a baseline that a
run is tested on.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lib.core.errors import InputError
from lib.core.section import did_you_mean

SOURCE = "Gangadhar and Stratos 2024, Model Editing by Standard Fine-Tuning, arXiv 2402.11078"


@dataclass(frozen=True, kw_only=True)
class Result:
    """One row of a published table, in percent."""

    method: str
    score: float
    efficacy: float
    generalization: float
    locality: float


@dataclass(frozen=True, kw_only=True)
class Table:
    """The published results of one dataset and one way of editing."""

    dataset: str
    model: str
    edits: str
    """How many edits, and how they were applied."""
    results: tuple[Result, ...]


def table(dataset: str, protocol: str, measure: str) -> Table | None:
    """The published table nearest to a run: of its dataset if there is one, else of the one with its headline measure.

    None of edits one after another: the paper has no such table.

    `dataset` is a preset's name, `protocol` is params.yaml's protocol.kind, `measure` a headline of scores.
    """
    if protocol == "sequential":
        return None
    family = dataset if dataset in MASS else {"success": "counterfact"}.get(measure, "zsre")
    return SINGLE[family] if protocol == "single" and family in SINGLE else MASS[family]


def _table(dataset: str, model: str, edits: str, rows: str) -> Table:
    """A table from lines of `method: score efficacy generalization locality`."""
    results = []
    for line in rows.strip().splitlines():
        method, values = line.split(":")
        score, efficacy, generalization, locality = map(float, values.split())
        results.append(
            Result(
                method=method.strip(),
                score=score,
                efficacy=efficacy,
                generalization=generalization,
                locality=locality,
            )
        )
    return Table(dataset=dataset, model=model, edits=edits, results=tuple(results))


MASS = {
    "zsre": _table("ZsRE", "GPT-J 6B", "10,000 edits at once", """
        unedited:              26.4  26.4  25.8  27.0
        FT-W:                  42.1  69.6  64.8  24.1
        MEND:                  20.0  19.4  18.6  22.4
        ROME:                   2.6  21.0  19.6   0.9
        MEMIT:                 50.7  96.7  89.7  26.6
        FT:                    44.8  99.9  98.9  21.4
        FT (21st layer):       42.9  99.9  87.4  20.5
        FT + Mask:             58.3  97.6  91.7  32.9
        FT + Mask + Para:      56.1  99.9  98.7  29.9
        FT + Mask + Para + Rand: 62.0 99.9 97.0  35.6
    """),
    "counterfact": _table("CounterFact", "GPT-J 6B", "10,000 edits at once", """
        unedited:              22.4  15.2  17.7  83.5
        FT-W:                  67.6  99.4  77.0  46.9
        MEND:                  23.1  15.7  18.5  83.0
        ROME:                  50.3  50.2  50.4  50.2
        MEMIT:                 85.8  98.9  88.6  73.7
        FT:                    52.8  79.6  58.5  36.8
        FT (21st layer):       60.5  99.9  63.3  42.0
        FT + Mask:             54.3  97.1  62.1  34.7
        FT + Mask + Para:      63.7 100.0  92.5  38.0
        FT + Mask + Para + Rand: 86.5 98.8 93.6  72.0
        the same with DPO:     85.5  98.8  93.4  70.1
    """),
    "wikirecent": _table("WikiRecent", "GPT-J 6B", "1,266 edits at once", """
        unedited:              37.4  34.4  34.5  45.3
        ROME:                  35.0  39.8  25.5  46.9
        MEMIT:                 67.3  99.2  80.2  45.3
        FT:                    55.8  68.1  60.4  44.5
        FT + Mask + Para + Rand: 68.5 99.6 84.6  45.8
    """),
}  # fmt: skip
"""Mass editing, by the name of the dataset's preset."""

SINGLE = {
    "zsre": _table("ZsRE", "GPT-2 XL", "one edit at a time", """
        unedited:              22.5  22.2  21.3  24.2
        FT:                    45.9  99.6  82.1  23.2
        FT-L:                  40.1  92.3  47.2  23.4
        KE:                    41.8  65.5  61.4  24.9
        MEND:                  42.9  75.9  65.3  24.1
        ROME:                  47.9  99.8  88.1  24.2
        FT + Mask + Para + Sim: 51.4 100.0 99.9  26.1
    """),
    "counterfact": _table("CounterFact", "GPT-2 XL", "one edit at a time", """
        unedited:              30.5  22.2  24.7  78.1
        FT:                    65.1 100.0  87.9  40.4
        FT-L:                  66.9  99.1  48.7  70.3
        KN:                    35.6  28.7  28.0  72.9
        KE:                    52.2  84.3  75.4  30.9
        MEND:                  57.9  99.1  65.4  37.9
        ROME:                  89.2 100.0  96.4  75.4
        FT + Mask + Para + Sim: 83.1  98.6  87.3  69.0
    """),
}  # fmt: skip
"""One edit at a time, by the name of the dataset's preset."""


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What stands beside the rows of a table: for some rows, published values in the table's own columns."""

    title: str
    """Which results these are, with the units."""
    measures: tuple[str, ...]
    """What the values are of, in their order: short names, for the head of the column."""
    values: Mapping[str, tuple[float, ...]]
    """By the row's name."""


_MEASURES = ("eff.", "gen.", "loc.", "score")


def beside(table_of_results: Table) -> Beside:
    """The results of a table as they stand beside rows: efficacy, generalization, locality, score."""
    return Beside(
        title=f"{table_of_results.dataset}, {table_of_results.model}, {table_of_results.edits}",
        measures=_MEASURES,
        values={
            result.method: (result.efficacy, result.generalization, result.locality, result.score)
            for result in table_of_results.results
        },
    )


TEXTS = Beside(
    title="CounterFact, GPT-J 6B, 10,000 edits at once",
    measures=("score", "fluency", "consistency"),
    values={
        "unedited": (22.4, 622.4, 29.4),
        "FT-W": (67.6, 293.9, 15.9),
        "MEND": (23.1, 618.4, 31.1),
        "ROME": (50.3, 589.6, 3.3),
        "MEMIT": (85.8, 619.9, 40.1),
        "FT": (52.8, 626.1, 31.0),
        "FT + Mask": (54.3, 563.6, 6.1),
        "FT + Mask + Para": (63.7, 550.7, 4.7),
        "FT + Mask + Para + Rand": (86.5, 352.0, 5.2),
        "the same with text": (84.8, 609.2, 29.2),
    },
)
"""Fluency and consistency of arXiv 2402.11078, times 100, beside the score of the same edit."""

WEIGHTS = Beside(
    title="ZsRE, GPT-2 XL, ROME; arXiv 2401.04700, table 1",
    measures=("Manhattan norm of dW", "% above 0.077", "% above 0.171"),
    values={
        "1": (9079.2, 20.0, 10.0),
        "5": (27072.2, 49.2, 28.9),
        "10": (52245.3, 67.4, 46.2),
        "15": (63247.5, 72.8, 52.2),
    },
)
"""What sequential edits change in the weights (RECT's table 1), by the number of edits."""

NAMED: Mapping[str, Beside] = {
    **{f"{name}-mass": beside(results) for name, results in MASS.items()},
    **{f"{name}-single": beside(results) for name, results in SINGLE.items()},
    "texts": TEXTS,
    "weights": WEIGHTS,
}
"""By the name that a file of experiments/ has under `published`."""


def named(name: str) -> Beside:
    """The published values of this name. Raises InputError with the nearest name where there are none."""
    if name not in NAMED:
        near = did_you_mean(name, list(NAMED))
        raise InputError(f"published: wanted one of {', '.join(NAMED)}; found {name!r}{near}")
    return NAMED[name]
