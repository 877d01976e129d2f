"""The scores of an edit that was handed over: made, judged, and compared with those that came with it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.params import Scoring
from lib.core.records import EvaluationPrompt, Request, Text, TextNll, scored_on
from lib.core.tables import frame, read, write
from lib.edits.apply import applied
from lib.edits.edit import Edit
from lib.metrics import consistency
from lib.metrics import scores as metrics
from lib.metrics.comparison import FACTS
from lib.metrics.examples import AnswerExample, failures_first
from lib.metrics.run import measured_run
from lib.runtime.distributed import Distributed
from lib.scoring.plain_text import plain_text_rows
from lib.scoring.scorer import Scorer
from lib.scoring.tables import ScoreTables

_MEASURE = metrics.HEADLINE["accuracy"]
"""Of one's own facts (configs/datasets/own.yaml)."""

_TEXT_TOKENS = 1024
"""Of held-out text, read at a time: few, so that a CPU has done some of it within seconds, and says what is left."""

Progress = Callable[[Sequence[list[int]], str], Iterable[list[int]]]


@dataclass(frozen=True, kw_only=True)
class ScoreFiles:
    """The tables in a folder errata/scores."""

    folder: Path

    @property
    def requests(self) -> Path:
        """With the generalization prompts that were written for those that had none."""
        return self._path("requests")

    @property
    def text(self) -> Path:
        """Held-out plain text."""
        return self._path("text")

    @property
    def scores(self) -> Path:
        return self._path("scores")

    @property
    def generations(self) -> Path:
        return self._path("generations")

    @property
    def divergences(self) -> Path:
        return self._path("divergences")

    @property
    def text_nll(self) -> Path:
        return self._path("text_nll")

    @property
    def frequencies(self) -> Path:
        return self.folder / "frequencies.json"

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"


def write_inputs(
    files: ScoreFiles, requests: Sequence[Request], prompts: Sequence[EvaluationPrompt], text: Path
) -> None:
    """Write what is scored: the requests with their prompts, and the held-out pieces of `text`."""
    files.folder.mkdir(parents=True, exist_ok=True)
    write(files.requests, Request, scored_on(requests, prompts))
    write(files.text, Text, [piece for piece in read(text, Text) if piece.split == "heldout"])


def rescore(
    inputs: ScoreFiles, outputs: ScoreFiles, edit: Edit, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase,
    settings: Scoring, progress: Progress,
) -> None:  # fmt: skip
    """Score the requests of `inputs` before and after `edit`, as stages baseline and score do, into `outputs`."""
    scorer = Scorer(
        model=model, tokenizer=tokenizer, requests=read(inputs.requests, Request), settings=settings,
        distributed=Distributed(), progress=progress,
    )  # fmt: skip
    unedited = scorer.before()
    tables = ScoreTables.joined([unedited.tables, replace(scorer, unedited=lambda: unedited).after(edit)])
    outputs.folder.mkdir(parents=True, exist_ok=True)
    tables.write(outputs.scores, outputs.generations, outputs.divergences)
    tokens = min(settings.micro_batch_tokens, _TEXT_TOKENS)
    before = plain_text_rows(model, tokenizer, inputs.text, settings.plain_texts, tokens, "before", progress)
    with applied(model, edit):
        after = plain_text_rows(model, tokenizer, inputs.text, settings.plain_texts, tokens, "after", progress)
    write(outputs.text_nll, TextNll, [*before, *after])


def judged(inputs: ScoreFiles, outputs: ScoreFiles) -> dict[str, Any]:
    """The headline, as stage evaluate computes it from the same tables."""
    scores, generations = frame(outputs.scores).lazy(), frame(outputs.generations)
    edits = frame(inputs.requests, columns=["request_id", "relation", "references", *FACTS])
    divergences, text_nll = frame(outputs.divergences), frame(outputs.text_nll)
    weights = consistency.read(inputs.frequencies)
    return measured_run(scores, generations, divergences, text_nll, edits, weights, _MEASURE).numbers


def examples_of(inputs: ScoreFiles, outputs: ScoreFiles) -> list[AnswerExample]:
    """Every edit with what the model writes before and after, failures first."""
    edits = frame(inputs.requests, columns=["request_id", *FACTS])
    generations = frame(outputs.generations)
    return failures_first(edits, frame(outputs.scores).lazy(), generations, edits.height)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Where the scores of an edit, made again, differ from those that came with it."""

    texts: int
    different_texts: tuple[tuple[str, str, str], ...]
    """(prompt, as it came, as it is here)."""
    scores: int
    """Likelihoods: of targets, and of held-out texts."""
    largest_nll: float
    """The largest difference of a likelihood, in nats a token."""

    def equal(self, tolerance: float) -> bool:
        """Whether every text is the same, and every likelihood to within `tolerance` nats a token."""
        return not self.different_texts and self.largest_nll <= tolerance


_TEXT_KEYS = ["request_id", "when", "kind", "prompt_index", "decoding", "prompt"]
_SCORE_KEYS = ["request_id", "when", "kind", "prompt_index", "role"]
_TEXT_NLL_KEYS = ["when", "index"]


def difference(came: ScoreFiles, here_files: ScoreFiles) -> Difference:
    """Compare the tables that came with an edit with those made here, row by row.

    Raises ValueError where they have rows of other prompts.
    """
    texts_joined = _joined(came.generations, here_files.generations, _TEXT_KEYS, ["text"])
    unlike = texts_joined.filter(pl.col("text") != pl.col("text_right")).select("prompt", "text", "text_right")
    targets = _joined(came.scores, here_files.scores, _SCORE_KEYS, ["nll", "tokens"])
    heldout = _joined(came.text_nll, here_files.text_nll, _TEXT_NLL_KEYS, ["nll", "tokens"])
    likelihoods = pl.concat([rows.select("nll", "nll_right", "tokens") for rows in (targets, heldout)])
    largest = likelihoods.select(((pl.col("nll") - pl.col("nll_right")).abs() / pl.col("tokens")).max()).item()
    return Difference(
        texts=texts_joined.height,
        different_texts=tuple(unlike.rows()),
        scores=likelihoods.height,
        largest_nll=float(largest or 0.0),
    )


def _joined(first: Path, second: Path, keys: list[str], values: list[str]) -> pl.DataFrame:
    left, right = (frame(path, columns=[*keys, *values]) for path in (first, second))
    joined = left.join(right, on=keys, how="inner", validate="1:1", nulls_equal=True)
    if not left.height == right.height == joined.height:
        raise ValueError(
            f"{first}: {left.height} rows; {second}: {right.height}, of which {joined.height} are the same"
        )
    return joined
