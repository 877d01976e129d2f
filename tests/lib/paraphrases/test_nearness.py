"""Jensen-Shannon distance of candidates from their prompts, and what it keeps."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.core import params
from lib.core.records import Paraphrase, Request
from lib.paraphrases.nearness import distances, evaluation_choice, jensen_shannon, nearest
from tests.helpers.models import byte_tokenizer, tiny_model

PARA = params.section("para", params.Para).model_copy(update={"method": "rewrite", "evaluation": 2})
REQUEST = Request(
    request_id="1", dataset="own", subject="Ada", relation=None, prompt="Ada lives in", template=None,
    target_new="Rome", target_true=None,
)  # fmt: skip


@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), st.lists(st.floats(0.01, 1), min_size=3, max_size=3))
def test_the_distance_is_symmetric_zero_at_home_and_at_most_ln_2(p: list[float], q: list[float]) -> None:
    log_p, log_q = (torch.tensor(values, dtype=torch.float64).log().log_softmax(-1) for values in (p, q))
    forth, back = jensen_shannon(log_p, log_q[None])[0].item(), jensen_shannon(log_q, log_p[None])[0].item()
    assert forth == pytest.approx(back, abs=1e-12)
    assert 0 <= forth <= math.log(2)
    assert jensen_shannon(log_p, log_p[None])[0].item() == pytest.approx(0, abs=1e-12)


def test_the_distance_is_that_of_its_definition() -> None:
    p, q = torch.tensor([0.5, 0.5]), torch.tensor([0.9, 0.1])
    by_hand = (
        0.5 * math.log(0.5 / 0.7) + 0.5 * math.log(0.5 / 0.3) + 0.9 * math.log(0.9 / 0.7) + 0.1 * math.log(0.1 / 0.3)
    ) / 2
    assert jensen_shannon(p.log(), q.log()[None])[0].item() == pytest.approx(by_hand, abs=1e-6)


@pytest.mark.parametrize("micro_batch_tokens", [8, 4096])
def test_distances_are_those_of_the_models_next_tokens_however_they_are_batched(micro_batch_tokens: int) -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    prompts, candidates = ["Ada lives in", "Bob"], [["The home of Ada is in", "Ada lives in"], ["Bob is"]]

    def next_token(text: str) -> Any:
        with torch.inference_mode():
            return model(torch.tensor([tokenizer(text).input_ids])).logits[0, -1].float().log_softmax(-1)

    measured = list(distances(model, tokenizer, prompts, candidates, micro_batch_tokens))
    for prompt, texts, values in zip(prompts, candidates, measured, strict=True):
        expected = [jensen_shannon(next_token(prompt), next_token(text)[None])[0].item() for text in texts]
        assert values == pytest.approx(expected, abs=1e-5)
    assert measured[0][1] == pytest.approx(0, abs=1e-6)


def candidate(text: str, kind: str) -> Paraphrase:
    return Paraphrase(request_id="1", kind=kind, text=text, seed=0)  # type: ignore[arg-type]


def by_length(prompts: Sequence[str], texts: Sequence[Sequence[str]]) -> Iterator[list[float]]:
    """A distance that grows with the text: 0.01 a character."""
    yield from ([len(text) / 100 for text in group] for group in texts)


def test_rules_come_before_the_chat_models_nearest_and_each_kind_has_its_limit() -> None:
    para = PARA.model_copy(update={"chat_distance": 0.15, "rules_distance": 0.25})
    texts = [("Ada has a house in", "rules"), ("Ada stays in", "chat"), ("Ada has a house at", "chat"),
             ("I know that Ada lives in", "chat"), ("Ada has long had a house in the town of", "rules"),
             ("Ada of Rome is in", "chat")]  # fmt: skip
    near = nearest([REQUEST], [candidate(*row) for row in texts], para, by_length)
    assert [paraphrase.text for paraphrase in near.paraphrases] == ["Ada has a house in", "Ada stays in"]
    assert dict(near.dropped) == {"far": 2, "prefix": 1, "target": 1}


def test_what_rules_make_comes_in_an_order_in_which_the_words_vary_most() -> None:
    """Each next one has the fewest words in common with the prompt and with those before it; alike ones come last."""
    texts = ["the house of Ada is in", "the home of Ada is in", "Ada lives at", "Ada resides in"]
    para = PARA.model_copy(update={"rules_distance": 0.9})
    near = nearest([REQUEST], [candidate(text, "rules") for text in texts], para, by_length)
    assert [paraphrase.text for paraphrase in near.paraphrases] == [
        "the home of Ada is in", "Ada lives at", "Ada resides in", "the house of Ada is in",
    ]  # fmt: skip


def test_scoring_gets_what_rules_make_and_what_another_model_writes_if_one_is_named() -> None:
    near = [candidate(f"Ada {verb} in", "rules") for verb in ("resides", "dwells")]
    near += [candidate(f"Ada {verb} in", "chat") for verb in ("stays", "sleeps")]
    with_own = replace(REQUEST, request_id="2", paraphrases=("Ada's home is in",))
    by_rules = evaluation_choice([REQUEST, with_own], near, PARA)
    assert [paraphrase.kind for paraphrase in by_rules.paraphrases] == ["rules"]
    assert by_rules.shortfall == 1
    named = evaluation_choice([REQUEST, with_own], near, PARA.model_copy(update={"model": "writers/big"}))
    assert (len(named.paraphrases), named.shortfall) == (2, 0)
