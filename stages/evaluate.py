"""Stage `evaluate`: scores in, metrics and the rows of the plots out. Arithmetic only; no model is loaded."""

import argparse
from pathlib import Path

import polars as pl

from lib.core.files import write_json
from lib.core.params import Dataset, preset, read_params
from lib.core.run import run
from lib.metrics import consistency, plot_rows, retention, summaries, texts
from lib.metrics import scores as metrics
from lib.metrics.perplexity import perplexity_ratio


def main() -> None:
    options = _options()
    measure = metrics.HEADLINE[preset("datasets", read_params()["dataset"], Dataset).metric]
    scores = pl.scan_parquet(options.scores)
    edits = pl.read_parquet(options.requests, columns=["request_id", "relation", "target_new", "references"])
    neighbors = pl.read_parquet(options.neighbors, columns=["request_id", "similarity"])
    others = texts.of_run(
        pl.read_parquet(options.generations),
        pl.read_parquet(options.divergences),
        edits,
        consistency.read(options.frequencies),
    )
    scored = metrics.per_record(scores)
    metrics.check_complete(retention.last_session(scored), edits["request_id"])
    sessions = metrics.joined(scored, others)
    records = retention.last_session(sessions)
    details = summaries.details(records, measure)
    plots = {
        "scores": plot_rows.score_rows(details),
        "relations": plot_rows.relation_rows(records, edits, measure),
        "locality_by_similarity": plot_rows.locality_rows(records, neighbors, measure),
        "nll_shift": plot_rows.nll_rows(metrics.efficacy_nll(retention.last_session(scores))),
        "retention": retention.curve(sessions, measure),
        "kl": retention.curve(sessions, "kl"),
    }
    for name, rows in plots.items():
        write_json(options.plots / f"{name}.json", {"rows": rows})
    write_json(options.plots / "details.json", details)
    kept = retention.immediate_and_final(sessions, measure)
    write_json(
        options.metrics,
        summaries.headline(details)
        | perplexity_ratio(pl.read_parquet(options.text_nll))
        | ({"retention": kept} if kept else {}),
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", type=Path, required=True, help="results/scores.parquet of stage score")
    parser.add_argument("--generations", type=Path, required=True, help="generations.parquet of stage score")
    parser.add_argument("--divergences", type=Path, required=True, help="divergences.parquet of stage score")
    parser.add_argument("--text-nll", type=Path, required=True, help="text_nll.parquet of stage score")
    parser.add_argument("--frequencies", type=Path, required=True, help="frequencies.json of stage frequencies")
    parser.add_argument("--requests", type=Path, required=True, help="requests.parquet of stage facts")
    parser.add_argument("--neighbors", type=Path, required=True, help="neighbors.parquet of stage neighbors")
    parser.add_argument("--metrics", type=Path, required=True, help="where the headline metrics go")
    parser.add_argument("--plots", type=Path, required=True, help="folder for the rows of the plots and the details")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
