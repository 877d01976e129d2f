"""Generalization prompts for edits whose dataset has none (WikiRecent, own facts): few-shot, never trained on.

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
    """What is to be generated for the edits that have no generalization prompt, in files of a folder in `folder`."""
    own = {"method": "fewshot", "n": para.evaluation, "seed": seed(para.seed, "evaluation")}
    pieces = folder / "evaluation"
    pieces.mkdir(exist_ok=True)
    return chunks_of(_lacking(requests), para.model_copy(update=own), pieces)


def evaluation_paraphrases(requests: Sequence[Request], found: Sequence[Paraphrase], para: Para) -> Cleaned:
    """At most para.evaluation of what was found for every edit that has no generalization prompt."""
    return clean(_lacking(requests), found, para.evaluation, "fewshot")


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


def _lacking(requests: Sequence[Request]) -> list[Request]:
    return [request for request in requests if not request.paraphrases]
