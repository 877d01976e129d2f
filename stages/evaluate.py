"""Stage `evaluate`: from scores to metrics, and to every table that the report shows. No model is loaded but a judge.

Headline numbers go into metrics/evaluate.json; everything else into results/evaluate.json and the rows of the plots.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.core.files import write_json
from lib.core.params import Dataset, preset
from lib.core.root import read_root
from lib.core.run import progress, run_stage

if TYPE_CHECKING:
    import polars as pl

PASSAGES = 6
"""Edits of which the page shows sampled texts."""


def main(options: argparse.Namespace) -> None:
    """Read the tables of stage score; write metrics, the details behind them and the rows of the plots."""
    from lib.core.tables import frame, scanned
    from lib.metrics import consistency, plot_rows, retention
    from lib.metrics import scores as metrics
    from lib.metrics.comparison import FACTS, edited_against_unedited
    from lib.metrics.examples import failures_first, passages
    from lib.metrics.run import measured_run
    from lib.metrics.verdict import LIMITS, verdict

    root = read_root()
    measure = metrics.HEADLINE[preset("datasets", root.dataset, Dataset).metric]
    scores, generations = scanned(options.scores), frame(options.generations)
    edits = frame(options.requests, columns=["request_id", "subject", "relation", "references", *FACTS])
    neighbors = frame(options.neighbors, columns=["request_id", "similarity"])
    run = measured_run(
        scores, generations, frame(options.divergences), frame(options.text_nll), edits,
        consistency.read(options.frequencies), measure,
    )  # fmt: skip
    last_scores, last_texts = retention.last_session(scores), retention.last_session(generations)
    plots = {
        "scores": plot_rows.score_rows(run.numbers),
        "relations": plot_rows.relation_rows(run.records, edits, measure),
        "locality_by_similarity": plot_rows.locality_rows(run.records, neighbors, measure),
        "nll_shift": plot_rows.nll_rows(metrics.efficacy_nll(last_scores)),
        "retention": retention.curve(run.sessions, measure),
        "kl": retention.curve(run.sessions, "kl"),
    }
    for name, rows in plots.items():
        write_json(options.plots / f"{name}.json", {"rows": plot_rows.in_script(rows)})
    numbers = run.numbers | _sections(root.score.judge, options.requests, edits, last_scores, last_texts)
    examples = failures_first(edits, scores, generations, root.score.examples)
    tables = {
        "numbers": numbers,
        "verdict": asdict(verdict(run.numbers)) | {"limits": asdict(LIMITS)},
        "plain_text": run.plain_text,
        "retention": retention.immediate_and_final(run.sessions, measure),
        "comparison": asdict(edited_against_unedited(edits, last_scores.collect(), run.text_measures)),
        "examples": [asdict(example) for example in examples],
        "passages": [asdict(passage) for passage in passages(last_texts, PASSAGES)],
    }
    write_json(options.results, {**run.details, **tables})
    write_json(options.metrics, numbers)


def _sections(
    judge: str | None, requests: Path, edits: pl.DataFrame, scores: pl.LazyFrame, generations: pl.DataFrame
) -> dict[str, Any]:
    """The parts of metrics/evaluate.json that not every run has; `scores` and `generations` are of the last session."""
    from lib.metrics import portability
    from lib.metrics.own_subject import own_subject

    implied = portability.sections(portability.questions(requests), generations, scores)
    judged = {} if judge is None else {"judge": _judged(judge, requests, generations)}
    return own_subject(edits, scores) | implied | judged


def _judged(name: str, requests: Path, generations: pl.DataFrame) -> dict[str, Any]:
    """What the judge of this name says of the edited model's texts, and how far it agrees with exact match."""
    from lib.core.records import Request
    from lib.core.tables import read
    from lib.handover.judges import judge_engine
    from lib.metrics.agreement import agreement
    from lib.scoring import judge

    texts = judge.free_texts(generations.to_dicts(), read(requests, Request))
    engine = judge_engine(name, lambda answers, total: progress(answers, "evaluate: the judge's answers", total))
    words = judge.judged(engine, texts)
    pairs: dict[str, list[tuple[bool | None, bool]]] = {}
    for text, word in zip(texts, words, strict=True):
        pairs.setdefault(text.kind, []).append((word, text.matches))
    figures = {kind: agreement(*zip(*of_kind, strict=True)) for kind, of_kind in pairs.items()}
    return {"model": name, "prompt": judge.PROMPT} | figures


def parser() -> argparse.ArgumentParser:
    """The stage's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", type=Path, required=True, help="results/scores.parquet of stage score")
    parser.add_argument("--generations", type=Path, required=True, help="generations.parquet of stage score")
    parser.add_argument("--divergences", type=Path, required=True, help="divergences.parquet of stage score")
    parser.add_argument("--text-nll", type=Path, required=True, help="text_nll.parquet of stage score")
    parser.add_argument("--frequencies", type=Path, required=True, help="frequencies.json of stage frequencies")
    parser.add_argument("--requests", type=Path, required=True, help="requests.parquet of stage facts")
    parser.add_argument("--neighbors", type=Path, required=True, help="neighbors.parquet of stage neighbors")
    parser.add_argument("--metrics", type=Path, required=True, help="where the headline metrics go")
    parser.add_argument("--results", type=Path, required=True, help="where everything else that was measured goes")
    parser.add_argument("--plots", type=Path, required=True, help="folder for the rows of the plots")
    return parser


if __name__ == "__main__":
    run_stage(main, parser())
