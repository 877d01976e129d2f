"""Perplexity against the original evaluation code, which divides by all tokens of the text, the first included."""

import json
from pathlib import Path

import pytest

from lib.abilities.answers import perplexity, published_perplexity
from lib.abilities.perplexity import text_scores
from tests.helpers.models import golden_model

NO_LIMIT = 10_000


@pytest.mark.parametrize("name", ["gpt2", "gptj", "llama"])
def test_published_perplexity_equals_the_original_code(name: str, golden: Path) -> None:
    texts = json.loads((golden / "inputs/covariance_texts.json").read_text())
    model, tokenizer = golden_model(name)
    for one in json.loads((golden / f"outputs/09_perplexity_{name}.json").read_text())["pre"]:
        place = one["text_index_or_note"]
        alone = isinstance(place, int)
        text = texts[place] if alone else " ".join(texts[10:14])
        limits = {"value": one["max_input_length"]} | ({"value_no_limit": NO_LIMIT} if alone else {})
        for key, limit in limits.items():
            (found,) = text_scores(model, tokenizer, [text], limit, 4096)
            assert found is not None
            parts = [(found.nll, found.predicted, found.tokens)]
            assert published_perplexity(parts) == pytest.approx(one[key], abs=1e-4)
            assert perplexity(parts) == pytest.approx(one[key] ** (found.tokens / found.predicted), abs=1e-3)


def test_texts_scored_together_are_scored_as_alone() -> None:
    model, tokenizer = golden_model("gptj")
    texts = ["The committee met again to discuss the road.", "A", "", "Voryorpol is famous for fencing."]
    together = text_scores(model, tokenizer, texts, 100, 32)
    assert [one is None for one in together] == [False, len(tokenizer("A").input_ids) < 2, True, False]
    for text, one in zip(texts, together, strict=True):
        (alone,) = text_scores(model, tokenizer, [text], 100, 4096)
        assert (one is None) == (alone is None)
        if one is not None and alone is not None:
            assert one.nll == pytest.approx(alone.nll, abs=1e-4)
