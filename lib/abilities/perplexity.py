"""Perplexity of held-out texts as a task among the others: a row a text, and the figure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from lib.abilities import answers, harness
from lib.abilities.figures import Z95, Figure, standard_error
from lib.core.params import Abilities
from lib.core.records import Ability, When
from lib.edits.in_force import EditInForce
from lib.models.perplexity import text_scores

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PERPLEXITY = "perplexity"


def perplexity(
    heldout: Sequence[str], tokenizer: PreTrainedTokenizerBase, in_force: EditInForce, settings: Abilities, when: When,
    session: int, show: Callable[[Sequence[list[int]]], Iterable[list[int]]],
) -> tuple[list[Ability], Figure]:  # fmt: skip
    """Of settings.limit of the held-out texts, drawn with settings.seed; `show` passes on the batches of the work."""
    indices = harness.drawn(len(heldout), settings.limit, f"{settings.seed}/{PERPLEXITY}")
    texts = [heldout[index] for index in indices]
    scores = in_force.answers(
        texts,
        lambda part: text_scores(
            in_force.model, tokenizer, [texts[index] for index in part], settings.text_tokens,
            settings.micro_batch_tokens, show,
        ),
    )  # fmt: skip
    scored = [(index, score) for index, score in zip(indices, scores, strict=True) if score is not None]
    formula = answers.published_perplexity if settings.mode == "published" else answers.perplexity
    parts = [(text_score.nll, float(text_score.predicted), float(text_score.tokens)) for _, text_score in scored]
    rows = [
        Ability(
            task=PERPLEXITY, session=session, when=when, index=index, metric=PERPLEXITY, gold="", answer="",
            value=formula([part]), parts=part, truncated=text_score.tokens == settings.text_tokens,
        )
        for (index, text_score), part in zip(scored, parts, strict=True)
    ]  # fmt: skip
    figure = Figure(
        task=PERPLEXITY,
        metric=PERPLEXITY,
        value=formula(parts),
        ci95=Z95 * standard_error(formula, parts, settings.seed),
        n=len(parts),
        of=len(heldout),
        unit=PERPLEXITY,
        chance=None,
        truncated=sum(row.truncated for row in rows),
        source="text.parquet",
        in_scope=in_force.in_scope([heldout[index] for index, _ in scored]),
    )
    return rows, figure
