"""Results of a run as the report gets them, and what a reader of a page sees."""

import re
from datetime import date
from html.parser import HTMLParser
from typing import Any

import polars as pl

from lib.metrics import scores
from lib.metrics.bootstrap import Interval
from lib.metrics.comparison import Comparison, ComparisonRow
from lib.metrics.examples import AnswerExample, Passage
from lib.metrics.headline import COLUMNS
from lib.metrics.verdict import verdict
from lib.report import page as report
from lib.report.pictures import Picture
from lib.report.plots.svg import drawing
from lib.report.training import TrainedEdit, TrainingSet

STAGES = ("facts", "base", "paraphrase", "neighbors", "edit", "score")
PICTURE = Picture(name="scores", title="Scores", caption="All.", drawing=drawing(10, 10, [], "All are 95 %."))
COMPARED = ComparisonRow(
    kind="locality", measure="success", n=4, a=100.0, b=62.5, difference=-37.5, ci95=2.25,
    bootstrap=Interval(low=-40.0, high=-35.04), p_value=0.0625, wins=0, ties=1, losses=3,
)  # fmt: skip
ABILITY = {"metric": "acc", "unit": "percent", "n": 50, "of": 936, "chance": 25, "truncated": 0, "before": 98.5,
           "before_ci95": 1.68, "after": 40.0, "after_ci95": 6.9}  # fmt: skip
WEIGHTS = pl.DataFrame(
    {"edits": 4, "path": ["layer.0", "layer.1", "all"], "entries": [50_000, 7, 50_007], "manhattan": [5e3, 2.0, 5e3],
     "frobenius": [9.126, 0.5, 9.126], "share_above_0.077": [12.34, 0.0, 12.34], "rank": [None, 3, None],
     "largest": [1.0, 2.0, 2.0], "base_largest": [3.0, 4.0, 4.0]}
)  # fmt: skip
NLL = {"new_before": 3.0, "true_before": 0.5, "new_after": 0.25, "true_after": None}


def details(missing: tuple[str, ...] = ()) -> dict[str, Any]:
    """All measures at 50 %, but those of the kinds in `missing`."""
    summary = {"mean": 50.0, "ci95": 5.0, "n": 4}
    kinds = {
        kind: dict.fromkeys(scores.SCORED if kind == "score" else scores.MEASURES, None if kind in missing else summary)
        for kind in ("score", *scores.KINDS)
    }
    texts = {"exact_match": {**summary, "mean": 12.5}, "took": {**summary, "mean": 25.0},
             "repetition": {**summary, "mean": 75.0}, "kl": {**summary, "mean": 0.1234},
             "answered": {**summary, "mean": 37.5}, "fluency": {**summary, "mean": 520.4},
             "consistency": None if missing else {**summary, "mean": 17.06}}  # fmt: skip
    for kind, measures in scores.BESIDE.items():
        kinds.setdefault(kind, {})
        kinds[kind] |= {measure: texts[measure] for measure in measures}
    return {"headline": "success", "n": 4, "before": kinds, "after": kinds}


def numbers(**changed: Any) -> dict[str, Any]:
    """A headline at whose limits nothing is passed, with `changed` put over it."""
    values: dict[str, Any] = {column.name: 95.0 for column in COLUMNS} | {"perplexity_ratio": 1.02, "kl": 0.1234}
    values |= {"repetition": 5.0} | {f"{name}_ci95": 2.5 for name in values}
    before = {column.name: 5.0 for column in COLUMNS if column.has_before}
    counts = dict.fromkeys((column.name for column in COLUMNS), 4) | {"perplexity_ratio": 60}
    return {
        "n": 4,
        "counts": counts,
        "before": before,
        "verdict": verdict(values | {"before": before}).word,
        **values,
    } | changed


def example(**changed: Any) -> AnswerExample:
    values: dict[str, Any] = {"prompt": "The capital is", "target_new": "Rome", "target_true": "Paris"}
    values |= {"before": " Paris.", "after": " Rome.", "nll": NLL, "took": True, "why_not": None}
    return AnswerExample(**(values | changed))


def training(edits: int) -> TrainingSet:
    """What was made for so many edits: five paraphrases and four neighbors of each."""
    paraphrases = [(f"It is ruled from {number}", "given with the facts") for number in range(5)]
    neighbors = [(f"The river {number} is in", "Egypt") for number in range(4)]
    beside = TrainedEdit(prompt="The capital is", target_new="Rome", paraphrases=paraphrases, neighbors=neighbors)
    counts = {"given with the facts": 5 * edits}
    return TrainingSet(paraphrases=counts, neighbors=4 * edits, edits=edits, sample=[beside] * edits)


def results(**changed: Any) -> report.Results:
    values: dict[str, Any] = {
        "params": {
            "dataset": "world",
            "model": "tiny",
            "editor": "lora",
            "seed": 3,
            "protocol": {"kind": "mass"},
            "regularize": {"method": "none"},
        },
        "presets": {"model": {"lora": {"r": 16}, "train": {"lr": 0.003}}, "editor": {"weight_decay": 0.25}},
        "commit": "0" * 40,
        "committed": date(2026, 11, 27),
        "changed": (),
        "versions": {"python": "3.11"},
        "hardware": {"processor": "abacus"},
        "metrics": {
            **{stage: {"rows": 9, "seconds": 61.0} for stage in STAGES},
            "abilities": {"mode": "corrected", "tasks": {"recall": ABILITY}},
        },
        "details": details(),
        "numbers": numbers(),
        "training": training(1),
        "sources": {},
        "rejects": (),
        "examples": (example(),),
        "passages": [Passage(prompt="Everybody knows", before=" it.", after=" that.")],
        "comparison": Comparison(a="unedited", b="edited", n=4, rows=[COMPARED], other_prompts={}),
        "weights": WEIGHTS,
        "pictures": [PICTURE],
    }
    values |= changed
    return report.Results(**{"verdict": verdict(values["numbers"]), **values})


class _Reader(HTMLParser):
    """Keeps the text between the tags."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def text_of(page: str) -> str:
    """What a reader sees, spaces folded."""
    parser = _Reader()
    parser.feed(re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL))
    return " ".join(" ".join(parser.texts).split())
