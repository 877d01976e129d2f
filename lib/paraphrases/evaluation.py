"""Generalization prompts for requests whose dataset has none (WikiRecent, own facts): few-shot, never trained on.

They are drawn with seeds of their own and chosen before the training paraphrases, whose cleaning then keeps away from
them as from any evaluation prompt ("Model Editing by Standard Fine-Tuning", arXiv 2402.11078, does so for WikiRecent).
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lib.core.params import Para
from lib.core.records import EvaluationPrompt, Paraphrase, Request
from lib.core.seeds import seed
from lib.paraphrases.chunks import Chunk, chunks_of
from lib.paraphrases.cleaning import Cleaned, clean


def evaluation_chunks(requests: Sequence[Request], para: Para, folder: Path) -> list[Chunk]:
    """What is to be drawn for the requests that have no generalization prompt, with files in `folder`."""
    changes = {"method": "fewshot", "n": para.evaluation, "seed": seed(para.seed, "evaluation")}
    return chunks_of(_without_paraphrases(requests), para.model_copy(update=changes), folder)


def evaluation_paraphrases(requests: Sequence[Request], paraphrases: Sequence[Paraphrase], para: Para) -> Cleaned:
    """At most para.evaluation of `paraphrases` for every request that has no generalization prompt."""
    return clean(_without_paraphrases(requests), paraphrases, para.evaluation, "fewshot")


def evaluation_prompts(paraphrases: Sequence[Paraphrase]) -> list[EvaluationPrompt]:
    """The paraphrases of every request as its generalization prompts, in their order."""
    counts: Counter[str] = Counter()
    prompts = []
    for paraphrase in paraphrases:
        request_id = paraphrase.request_id
        prompts.append(
            EvaluationPrompt(
                request_id=request_id,
                prompt_index=counts[request_id],
                prompt=paraphrase.text,
                seed=paraphrase.seed,
            )
        )
        counts[request_id] += 1
    return prompts


def _without_paraphrases(requests: Sequence[Request]) -> list[Request]:
    return [request for request in requests if not request.paraphrases]
