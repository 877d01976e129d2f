"""How well the model predicts held-out plain text, before and after an edit: rows of text_nll.parquet."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.params import PlainTexts
from lib.core.records import Text, TextNll, When
from lib.core.tables import read
from lib.models.perplexity import text_scores


def plain_text_rows(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Path, settings: PlainTexts,
    micro_batch_tokens: int, when: When, progress: Callable[[Sequence[list[int]], str], Iterable[list[int]]],
    asks: Callable[[Sequence[str]], Sequence[bool]] = lambda texts: [True] * len(texts),
) -> list[TextNll]:  # fmt: skip
    """One row for every held-out text of the file, of at most settings.limit drawn with settings.seed.

    A text of a single token, of which nothing is predicted, has no row.

    Args:
        progress: passes on the batches of the work that its second argument names.
        asks: which of these texts are read.
    """
    heldout = [text.text for text in read(texts, Text) if text.split == "heldout"]
    if settings.limit is not None and settings.limit < len(heldout):
        heldout = Random(f"{settings.seed}/heldout").sample(heldout, settings.limit)
    indices = [index for index, is_read in enumerate(asks(heldout)) if is_read]
    scores = text_scores(
        model, tokenizer, [heldout[index] for index in indices], settings.tokens, micro_batch_tokens,
        lambda batches: progress(batches, f"held-out texts {when}"),
    )  # fmt: skip
    return [
        TextNll(when=when, index=index, nll=score.nll, tokens=score.predicted)
        for index, score in zip(indices, scores, strict=True)
        if score is not None
    ]
