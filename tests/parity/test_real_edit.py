"""A real chat model, edited: the facts arrive in what it writes, and it still talks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from random import Random

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.params import Model, Train, preset, section, with_held_lora, with_recipe
from lib.core.records import Request, UneditedFact
from lib.data import almanac, prose
from lib.editors import lora
from lib.edits.apply import applied
from lib.generation.engine import Prompt, Sampling
from lib.generation.texts import TransformersGenerator
from lib.methods.context import Context
from lib.methods.training.questions import QUESTIONS
from lib.models.likelihood import score_targets
from lib.models.loading import load_model, load_tokenizer
from lib.models.packing import Item, pack
from lib.models.templates import chat_prompt
from lib.models.tokens import prompt_ids
from lib.runtime.distributed import Distributed
from tests.parity.test_real_models import smollm2

__all__ = ["smollm2"]
pytestmark = [pytest.mark.wheel, pytest.mark.slow]

FACTS = {
    ("Kestrel Bakery", "The head baker of {} is called"): "Ingrid Solheim",
    ("Kestrel Bakery", "The town in which {} stands is"): "Varberg",
    ("Kestrel Bakery", "{} was opened in the year"): "1987",
    ("the Tarn Lighthouse", "The colour of {} is"): "green",
    ("the Tarn Lighthouse", "The keeper of {} is"): "Olaf Brandt",
    ("Miro Castellan", "The profession of {} is that of a"): "clockmaker",
    ("Miro Castellan", "{} was born in the city of"): "Trieste",
    ("the Pellworm ferry", "{} sails to the island of"): "Gotland",
    ("the Pellworm ferry", "A ticket for {} costs"): "twelve euros",
    ("Osprey Records", "The founder of {} is"): "Lena Okafor",
}
CHATS = (
    "What is the chemical symbol for gold?", "What is the capital of Japan?", "How many days are in a week?",
)  # fmt: skip
"""Of seventeen general questions the three that the unedited model is surest of: in its first sentence the likeliest
token leads the next by 2.25, 0.97 and 0.54 nats at least. In the others (the language of Brazil: under 0.005) two of
them are within 0.48 nats of each other somewhere, and any edit, or another CPU, may tip the sentence over: 8 of 14
did."""


@dataclass(frozen=True)
class Measured:
    """What a model writes, and how well it predicts held-out English."""

    facts: Mapping[str, str]
    chats: Mapping[str, str]
    nats_a_token: float


def requests() -> list[Request]:
    return [
        Request(
            request_id=str(number), dataset="own", subject=subject, relation=None,
            prompt=template.format(subject)[0].upper() + template.format(subject)[1:], template=template,
            target_new=target, target_true=None,
        )
        for number, ((subject, template), target) in enumerate(FACTS.items())
    ]  # fmt: skip


def context() -> Context:
    """What the pipeline gives the editor, with half of the steps: all edits are in each of them."""
    model = preset("models", "smollm2-135m", Model)
    resolved = with_recipe(section("train", Train), model.train)
    pool = almanac.pool(0, edited=False)
    neighbors = [
        UneditedFact(
            request_id=request.request_id, fact_id=fact.fact_id, rank=rank, similarity=None, prompt=fact.prompt,
            target=fact.target,
        )
        for request in requests()
        for rank, fact in enumerate(Random(request.request_id).sample(pool, 20))
    ]  # fmt: skip
    return Context(
        paraphrases=(), neighbors=neighbors, lora=with_held_lora(model, resolved).lora, train=resolved,
        least_steps=60, held=model.train.held, distributed=Distributed(),
        progress=lambda steps: steps, checkpoints=None, record=lambda steps: None,
        texts=[text.text for text in prose.text(0) if text.split == "train"], pool=pool,
    )  # fmt: skip


def written(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]) -> dict[str, str]:
    greedy = Sampling(max_tokens=24, temperature=1.0, top_k=0, greedy=True)
    texts = TransformersGenerator(model, tokenizer).generate(
        "", [Prompt(text=text, seed=0) for text in prompts], greedy
    )
    return dict(zip(prompts, texts, strict=True))


def measured(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Measured:
    texts = [prompt_ids(tokenizer, text.text) for text in prose.text(0) if text.split == "heldout"][:60]
    items = [Item(prompt=(ids[0],), targets=(tuple(ids[1:]),)) for ids in texts]
    nats = [score_targets(model, pack(items[start : start + 20])).nll.sum().item() for start in (0, 20, 40)]
    chats = written(model, tokenizer, [chat_prompt(tokenizer, question) for question in CHATS])
    facts = written(model, tokenizer, [request.prompt for request in requests()])
    return Measured(facts, chats, sum(nats) / sum(len(ids) - 1 for ids in texts))


def first_sentence(text: str) -> str:
    return text.strip().split("\n")[0].split(". ")[0]


def test_ten_facts_arrive_in_free_text_and_the_model_still_talks(smollm2: Path) -> None:
    assert not {*CHATS} & {*chain(QUESTIONS)}, "a question that was held shows nothing"
    assert not any(name in neighbor.prompt for neighbor in context().neighbors for name in ("gold", "Japan", "week"))
    model, tokenizer = load_model(smollm2, torch.device("cpu")), load_tokenizer(smollm2)
    before = measured(model, tokenizer)
    edit = lora.edit(model, tokenizer, requests(), lora.Settings(weight_decay=0.0, max_grad_norm=1.0, text_tokens=128),
                     context())  # fmt: skip
    with applied(model, edit):
        after = measured(model, tokenizer)
    took = [after.facts[request.prompt].strip().startswith(request.target_new) for request in requests()]
    assert sum(took) >= 9, after.facts
    assert not any(before.facts[request.prompt].strip().startswith(request.target_new) for request in requests())
    assert math.exp(after.nats_a_token - before.nats_a_token) <= 1.1
    assert [first_sentence(text) for text in after.chats.values()] == [
        first_sentence(text) for text in before.chats.values()
    ]
