"""What the tables of one run say together: every edit's records, the details of all measures, and the headline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from lib.metrics import retention, summaries, texts
from lib.metrics import scores as metrics
from lib.metrics.consistency import WordWeights
from lib.metrics.headline import headline
from lib.metrics.perplexity import perplexity_ratio


@dataclass(frozen=True, kw_only=True)
class MeasuredRun:
    """The measures of a run."""

    text_measures: Sequence[pl.DataFrame]
    """lib.metrics.texts.of_run's."""
    sessions: pl.DataFrame
    """Records before editing and of every session after it."""
    records: pl.DataFrame
    """Those before editing and of the last session."""
    details: Mapping[str, Any]
    plain_text: Mapping[str, float]
    numbers: dict[str, Any]
    """The headline, as metrics/evaluate.json has it."""


def measured_run(
    scores: pl.LazyFrame, generations: pl.DataFrame, divergences: pl.DataFrame, text_nll: pl.DataFrame,
    edits: pl.DataFrame, weights: WordWeights, measure: str,
) -> MeasuredRun:  # fmt: skip
    """Measure a run by its tables.

    Args:
        scores: scores.parquet; generations, divergences and text_nll likewise.
        edits: of requests.parquet request_id, relation, references and the facts' texts.
        weights: of the words in references.
        measure: the dataset's headline measure.

    Raises InputError where a score is not a number, or an edit has none before or after the last session.
    """
    text_measures = texts.of_run(generations, divergences, edits, weights)
    scored = metrics.per_record(scores)
    metrics.check_complete(retention.last_session(scored), edits["request_id"])
    sessions = metrics.joined(scored, text_measures)
    records = retention.last_session(sessions)
    details, plain_text = summaries.details(records, measure), perplexity_ratio(text_nll)
    return MeasuredRun(
        text_measures=text_measures, sessions=sessions, records=records, details=details, plain_text=plain_text,
        numbers=headline(details, plain_text),
    )  # fmt: skip
