"""Texts continued token by token: their tokens, and that these depend on the prompt and its seed alone."""

from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from lib.generation.engine import Sampling
from lib.generation.token_by_token import EncodedPrompt, continue_batch, length_sorted_batches
from lib.models.check import reading_of
from tests.helpers.models import byte_tokenizer, tiny_model

GREEDY = Sampling(max_tokens=0, temperature=1.0, top_k=0, greedy=True)
TOP_5 = Sampling(max_tokens=0, temperature=1.0, top_k=5)
PROMPTS = ("The capital of France is", "A", "Rome lies in", "The mother tongue of Ada is", "Rome lies at")
families = pytest.mark.parametrize("family", ["gpt2", "gptj", "neox", "llama", "mistral", "qwen3", "gemma3"])


def encode(prompt: str, tokens: int = 9, **changed: Any) -> EncodedPrompt:
    return EncodedPrompt(ids=tuple(byte_tokenizer()(prompt).input_ids), tokens=tokens, **changed)


def greedy_without_cache(model: PreTrainedModel, prompt: EncodedPrompt) -> list[int]:
    """The greedy continuation by a forward pass over all tokens for every new one."""
    ids = list(prompt.ids)
    for _ in range(prompt.tokens):
        ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt.ids) :]


@families
def test_greedy_tokens_are_those_of_a_forward_pass_a_token(family: str) -> None:
    model = tiny_model(family)
    batch = [encode(prompt) for prompt in PROMPTS]
    assert continue_batch(model, batch, GREEDY, rows=8) == [greedy_without_cache(model, prompt) for prompt in batch]


@pytest.mark.parametrize("sampling", [GREEDY, TOP_5])
def test_a_text_does_not_depend_on_the_other_prompts_of_its_batch(sampling: Sampling) -> None:
    model = tiny_model("gpt2")
    batch = [encode(prompt, tokens=5 + index, seed=index) for index, prompt in enumerate(PROMPTS)]
    alone = [continue_batch(model, [prompt], sampling, rows=8)[0] for prompt in batch]
    assert continue_batch(model, batch, sampling, rows=8) == alone
    assert continue_batch(model, batch[::-1], sampling, rows=8) == alone[::-1]
    assert [len(tokens) for tokens in alone] == [5, 6, 7, 8, 9]


def test_a_text_is_drawn_from_its_own_seed_among_the_likeliest() -> None:
    model = tiny_model("gpt2")
    texts = [continue_batch(model, [encode("Rome lies in", seed=seed)], TOP_5, rows=2)[0] for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
    for tokens in texts:
        ids = torch.tensor([[*encode("Rome lies in").ids, *tokens]])
        likeliest = model(ids).logits[0, -len(tokens) - 1 : -1].topk(5).indices
        assert (likeliest == torch.tensor(tokens)[:, None]).any(-1).all()


def test_frequencies_of_what_is_drawn_are_the_likeliest_tokens_renormalised() -> None:
    model, rows = tiny_model("gpt2"), 64
    texts = [
        tokens
        for start in range(0, 2_048, rows)
        for tokens in continue_batch(
            model, [encode("A", tokens=1, seed=seed) for seed in range(start, start + rows)], TOP_5, rows=rows
        )
    ]
    top = model(torch.tensor([encode("A").ids])).logits[0, -1].topk(5)
    shares = {int(token): sum(tokens == [token] for tokens in texts) / len(texts) for token in top.indices}
    expected = dict(zip(top.indices.tolist(), top.values.softmax(-1).tolist(), strict=True))
    assert shares == pytest.approx(expected, abs=0.04)


def test_the_end_is_the_last_token_of_a_text_that_has_one() -> None:
    model = tiny_model("gpt2")
    (tokens,) = continue_batch(model, [encode("Rome")], GREEDY, rows=1)
    end = tokens[3]
    texts = continue_batch(model, [encode("Rome", end=end), encode("Rome")], GREEDY, rows=2)
    assert texts == [tokens[: tokens.index(end) + 1], tokens]


@families
def test_what_prompts_have_in_common_may_be_read_at_once(family: str) -> None:
    model = tiny_model(family)
    batch = [encode("Now: " + prompt) for prompt in PROMPTS]
    assert continue_batch(model, batch, GREEDY, rows=5, shared_tokens=5) == continue_batch(model, batch, GREEDY, rows=5)


def test_a_prompt_that_leaves_no_room_has_no_continuation() -> None:
    batch = [encode("Rome", tokens=0), encode("Rome", tokens=-4)]
    assert continue_batch(tiny_model("gpt2"), batch, TOP_5, rows=4) == [[], []]


def test_batches_hold_every_prompt_once_the_longest_first() -> None:
    prompts = [encode(prompt, tokens=tokens) for prompt, tokens in (("A", 3), ("AAAA", 3), ("AA", 9), ("A", -7))]
    assert length_sorted_batches(prompts, 3) == [[2, 1, 0], [3]]
    assert length_sorted_batches([], 3) == []


def test_every_step_has_the_same_shape_so_that_other_prompts_do_not_move_the_last_bit() -> None:
    model, shapes = tiny_model("gpt2"), set()
    reading_of(model)  # as a loaded model is checked
    handle = model.register_forward_pre_hook(lambda _, inputs: shapes.add(tuple(inputs[0].shape)))
    for count in (1, 3, 5):
        continue_batch(model, [encode(prompt) for prompt in PROMPTS[:count]], GREEDY, rows=5)
    handle.remove()
    assert shapes == {(5, 1)}
