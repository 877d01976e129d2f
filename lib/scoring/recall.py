"""What the unedited model knows: a fact is known where its object is the greedy continuation of its prompt.

The greedy continuation is the object where every token of the object is the most likely one after those before it, so
one pass over prompt and object tells.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.run import progress
from lib.models.check import packed_for
from lib.models.likelihood import score_targets
from lib.models.loading import load_model, load_tokenizer
from lib.models.packing import batches
from lib.models.tokens import encode
from lib.runtime.distributed import process_group
from lib.runtime.machine import device
from lib.scoring.known import Pair

_PASS = 256
"""Facts between two reports of progress."""


def asked(folder: Path, pairs: Sequence[Pair], micro_batch_tokens: int, name: str) -> dict[Pair, bool]:
    """By (prompt, true object), whether the model in `folder` knows it; `name` is the stage that asks."""
    if not pairs:
        return {}
    with process_group() as processes:
        model = load_model(folder, device(), processes)
        with_progress = (lambda starts: progress(starts, f"{name}: {_PASS} facts each")) if processes.is_main else iter
        answers = recalled(model, load_tokenizer(folder), pairs, micro_batch_tokens, with_progress)
        return dict(zip(pairs, answers, strict=True))


def recalled(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[Pair],
    micro_batch_tokens: int,
    progress: Callable[[Iterable[int]], Iterable[int]] = lambda starts: starts,
) -> list[bool]:
    """For every (prompt, object), whether the model's greedy continuation of the prompt is the object."""
    answers: list[bool] = []
    for start in progress(range(0, len(pairs), _PASS)):
        part = pairs[start : start + _PASS]
        items = encode(tokenizer, [prompt for prompt, _ in part], [(target,) for _, target in part])
        recalled = [False] * len(items)
        for batch in batches(items, micro_batch_tokens, sorted(range(len(items)), key=lambda row: -items[row].length)):
            scores = score_targets(model, packed_for(model, [items[row] for row in batch]))
            for row, is_known in zip(batch, (scores.correct == scores.tokens).tolist(), strict=True):
                recalled[row] = is_known
        answers += recalled
    return answers
