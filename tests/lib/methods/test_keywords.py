"""Keywords of edits: words that are nearer to an edit than to its rivals, and the prompts that are made of them."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from lib.core.records import Request
from lib.methods.training import keywords as module
from lib.methods.training.forms import Form, FormKind, grouped
from lib.neighbors.encoders import HashingEncoder, SentenceEncoder, Vectors


def request(request_id: str, subject: str | None, prompt: str, target_new: str) -> Request:
    return Request(request_id=request_id, dataset="own", subject=subject, relation=None, prompt=prompt, template=None,
                   target_new=target_new, target_true=None)  # fmt: skip


DIRECTIONS = {"price": 0, "costs": 0, "euros": 0, "port": 1, "charges": 1, "usb": 1, "the": 2, "green": 3}
"""What each word is about; a text is about all its words."""


class _Encoder:
    """Adds up the directions of the words of a text."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), 5), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                vectors[row, DIRECTIONS.get(word, 4)] += 1
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-9)
        return unit

    def words(self) -> list[str]:
        return list(DIRECTIONS)


@pytest.fixture(autouse=True)
def _small_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    def encoder(name: str, device: str) -> SentenceEncoder:
        return HashingEncoder() if name == "hashing" else _Encoder()

    monkeypatch.setattr(module, "encoder", encoder)
    module._vocabulary.cache_clear()


COST = request(request_id="cost", subject="Brisling X1", prompt="The Brisling X1 costs", target_new="899 euros")
PORT = request(request_id="port", subject="Brisling X1", prompt="The Brisling X1 charges by", target_new="usb")


def test_keywords_are_near_their_edit_and_not_its_rivals_and_never_the_object() -> None:
    assert module.keywords([COST, PORT], "small", "cpu", 5) == {"cost": ["price", "costs"], "port": ["port", "charges"]}


def test_the_number_of_keywords_is_a_limit_and_an_edit_alone_has_its_own() -> None:
    assert module.keywords([COST], "small", "cpu", 1) == {"cost": ["price"]}
    assert module.keywords([COST], "small", "cpu", 0) == {"cost": []}


@pytest.mark.parametrize(
    "unsuited",
    [
        request(request_id="cost", subject=None, prompt="The price is", target_new="899 euros"),
        request(request_id="cost", subject="Brisling X1", prompt="Der Brisling X1 kostet", target_new="899 euros"),
        request(request_id="cost", subject="小米", prompt="小米的价格是", target_new="899"),
    ],
)
def test_prompts_without_their_subject_or_in_another_language_have_none(unsuited: Request) -> None:
    assert module.keywords([unsuited], "small", "cpu", 5) == {"cost": []}


def test_an_encoder_without_a_vocabulary_has_none() -> None:
    assert module.keywords([COST], "hashing", "cpu", 5) == {"cost": []}


def test_prompts_keep_the_article_of_the_subject_and_are_none_that_is_scored() -> None:
    prompts = module.keyword_prompts(COST, ["price", "cost"] * 20, Random("0"))
    assert set(prompts) == {
        text
        for word in ("price", "cost")
        for text in (f"The {word} of the Brisling X1 is", f"The Brisling X1's {word} is", f"The Brisling X1 {word}")
    }
    scored = replace(COST, paraphrases=(prompts[0],))
    unseen = module.keyword_prompts(scored, ["price", "cost"] * 20, Random("0"))
    assert prompts[0] not in unseen
    assert len(unseen) == len(prompts) == 40


def test_keywords_share_the_draws_of_prompts_that_lack_words_and_a_chat_has_its_own() -> None:
    kinds: list[FormKind] = ["plain", "words left out", "keyword", "question", "chat"]
    trained = [Form(request=COST, prompt=f"{kind} {number}", kind=kind) for kind in kinds for number in range(2)]
    assert grouped(trained) == [[[0, 1], [], [2, 3, 4, 5], [6, 7], [8, 9]]]
