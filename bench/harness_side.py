"""What a user would pick to score pairs: lm-evaluation-harness, its batched likelihoods of continuations."""

from collections.abc import Sequence

from lm_eval.models.huggingface import HFLM
from transformers import PreTrainedModel

from bench.gpu.shapes import word_tokenizer
from lib.models.packing import Item


def harness_nll(model: PreTrainedModel, items: Sequence[Item], batch_size: int) -> list[float]:
    """-log p of every target of every item, in order: pairs sorted by length, padded batches, logits of all positions.

    Targets of one token behind one prompt share its row, as the harness's own cache has it.
    """
    # The harness asks for a tokenizer, also where the work is given as token ids.
    harness = HFLM(pretrained=model, tokenizer=word_tokenizer(), backend="causal", batch_size=batch_size)
    pairs = [(item.prompt, target) for item in items for target in item.targets]
    requests = [((str(prompt), str(target)), list(prompt), list(target)) for prompt, target in pairs]
    return [-log_p for log_p, _ in harness._loglikelihood_tokens(requests, disable_tqdm=True)]
