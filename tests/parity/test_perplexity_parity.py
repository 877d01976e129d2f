"""Perplexity against the original evaluation code, which divides by all tokens of the text, the first included."""

import pytest

from lib.abilities.answers import perplexity, published_perplexity
from lib.edits.apply import applied
from lib.edits.edit import Edit
from lib.models.perplexity import text_scores
from tests.helpers.models import golden_model
from tests.parity.reference import document, memit_updates

NO_LIMIT = 10_000


@pytest.mark.parametrize("edited", [False, True])
def test_published_perplexity_equals_the_original_code(family: str, edited: bool) -> None:
    texts = document("inputs/covariance_texts")
    model, tokenizer = golden_model(family)
    for reference in document("perplexity")[family]["post" if edited else "pre"]:
        index = reference["text_index_or_note"]
        alone = isinstance(index, int)
        text = texts[index] if alone else " ".join(texts[10:14])
        limits = {"value": reference["max_input_length"]} | ({"value_no_limit": NO_LIMIT} if alone else {})
        for key, limit in limits.items():
            with applied(model, Edit(updates=memit_updates(family, model) if edited else {})):
                (score,) = text_scores(model, tokenizer, [text], limit, 4096)
            assert score is not None
            parts = [(score.nll, score.predicted, score.tokens)]
            assert published_perplexity(parts) == pytest.approx(reference[key], abs=1e-4)
            assert perplexity(parts) == pytest.approx(reference[key] ** (score.tokens / score.predicted), abs=1e-3)


def test_texts_scored_together_are_scored_as_alone() -> None:
    model, tokenizer = golden_model("gptj")
    texts = ["The committee met again to discuss the road.", "A", "", "Voryorpol is famous for fencing."]
    together = text_scores(model, tokenizer, texts, 100, 32)
    assert [score is None for score in together] == [False, len(tokenizer("A").input_ids) < 2, True, False]
    for text, text_score in zip(texts, together, strict=True):
        (alone,) = text_scores(model, tokenizer, [text], 100, 4096)
        assert (text_score is None) == (alone is None)
        if text_score is not None and alone is not None:
            assert text_score.nll == pytest.approx(alone.nll, abs=1e-4)
