"""Generalization prompts for edits whose dataset has none (WikiRecent, own facts): few-shot, never trained on.

They are drawn with seeds of their own and chosen before the training paraphrases, whose cleaning then keeps away from
them as from any evaluation prompt ("Model Editing by Standard Fine-Tuning", arXiv 2402.11078, does so for WikiRecent).
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lib.chunks import Chunk, chunks_of
from lib.params import Para
from lib.paraphrasing import Cleaned, clean, seed
from lib.records import Paraphrase, Request


def evaluation_chunks(requests: Sequence[Request], para: Para, folder: Path) -> list[Chunk]:
    """What is to be generated for the edits that have no generalization prompt, in files of a folder in `folder`."""
    own = {"method": "fewshot", "n": para.evaluation, "seed": seed(para.seed, "evaluation")}
    pieces = folder / "evaluation"
    pieces.mkdir(exist_ok=True)
    return chunks_of(_lacking(requests), para.model_copy(update=own), pieces)


def evaluation_paraphrases(requests: Sequence[Request], found: Sequence[Paraphrase], para: Para) -> Cleaned:
    """At most para.evaluation of what was found for every edit that has no generalization prompt."""
    return clean(_lacking(requests), found, para.evaluation, "fewshot")


def _lacking(requests: Sequence[Request]) -> list[Request]:
    return [request for request in requests if not request.paraphrases]


def scored_on(requests: Sequence[Request], found: Sequence[Paraphrase]) -> list[Request]:
    """The edits, those without generalization prompts with what was found for them."""
    texts: dict[str, list[str]] = {}
    for one in found:
        texts.setdefault(one.edit_id, []).append(one.text)
    return [one if one.paraphrases else replace(one, paraphrases=tuple(texts.get(one.edit_id, ()))) for one in requests]
