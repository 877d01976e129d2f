"""Encoders give unit vectors, the same every time, in which alike prompts are near."""

from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from lib.data import world
from lib.neighbors import encoders
from lib.neighbors.encoders import HASHING_SIZE, encoder
from tests.helpers.pools import similar

TEXTS = ("Ada was born in", "The profession of Ada is that of a", "", "!?", "İstanbul ﬁ ß")


def test_hashing_gives_every_text_a_unit_vector_even_one_without_words() -> None:
    vectors = encoder("hashing", "cpu").encode(TEXTS)
    assert vectors.shape == (len(TEXTS), HASHING_SIZE)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-6)


def test_hashing_is_the_same_every_time_and_in_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = encoder("hashing", "cpu").encode(TEXTS)
    monkeypatch.setattr(encoders, "_BATCH", 2)
    assert encoder("hashing", "cpu").encode(TEXTS).tobytes() == vectors.tobytes()
    alone = [encoder("hashing", "cpu").encode([text]) for text in TEXTS]
    assert np.concatenate(alone).tobytes() == vectors.tobytes()
    assert list(np.flatnonzero(vectors[3])) == [39, 218, 389]  # printed by another process


def test_hashing_compares_words_as_the_project_does() -> None:
    first, second, distant = encoder("hashing", "cpu").encode(
        ["ADA was born, in", "Ada was born in...", "Bo plays the"]
    )
    assert first @ second == pytest.approx(1)
    assert first @ distant < 0.5


def test_hashing_finds_facts_of_the_requests_own_relation_in_the_embedded_world() -> None:
    embedded = world.make_world(0)
    requests, pool = world.requests(embedded, "test", 0), world.pool(embedded)
    relation = {request.request_id: request.relation for request in requests}
    relation |= {fact.fact_id: fact.relation for fact in pool}
    neighbors = similar(requests, pool, 20, encoder("hashing", "cpu"))
    own = [relation[neighbor.request_id] == relation[neighbor.fact_id] for neighbor in neighbors]
    assert np.mean(own) > 5 / len(set(relation.values()))  # five times what random facts would reach
    assert np.mean([same for same, neighbor in zip(own, neighbors, strict=True) if neighbor.rank == 0]) > 0.9


def test_a_sentence_transformers_model_is_loaded_from_its_folder_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = {word: token for token, word in enumerate(["[UNK]", "Ada", "was", "born", "in"])}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    weights = torch.randn(len(words), 8, generator=torch.Generator().manual_seed(0))
    SentenceTransformer(
        modules=[StaticEmbedding(tokenizer, embedding_weights=weights.numpy())], device="cpu"
    ).save_pretrained(str(tmp_path), create_model_card=False)

    with caplog.at_level("INFO"):
        vectors = encoder(str(tmp_path), "cpu").encode(["Ada was born in", "Ada", "Ada"])
    assert not caplog.messages  # it said "Loading SentenceTransformer model from ..." between the lines of our own
    mean = weights[1:].mean(dim=0)
    assert vectors.dtype == np.float32
    assert vectors[0] == pytest.approx((mean / mean.norm()).numpy(), abs=1e-6)
    assert vectors[1].tobytes() == vectors[2].tobytes()
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", ["nobody/no-such-model", "/no/such/folder"])
def test_a_model_that_cannot_be_loaded_is_an_error_that_asks_for_a_folder(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=rf"neighbors\.encoder: wanted one of hashing, .*{name}(.|\n)*give the folder"):
        encoder(name, "cpu")
