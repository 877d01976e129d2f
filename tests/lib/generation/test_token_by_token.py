"""Texts continued in step: what they are, and that they depend on nothing but the prompt and its seed."""

from typing import Any

import pytest
import torch

from lib.generation.engine import Sampling
from lib.generation.token_by_token import Asked, continued, cut
from tests.helpers.models import byte_tokenizer, tiny_model

GREEDY = Sampling(max_tokens=0, temperature=1.0, top_k=0, greedy=True)
TOP_5 = Sampling(max_tokens=0, temperature=1.0, top_k=5)
PROMPTS = ("The capital of France is", "A", "Rome lies in", "The mother tongue of Ada is", "Rome lies at")
families = pytest.mark.parametrize("family", ["gpt2", "gptj", "neox", "llama", "mistral", "qwen3", "gemma3"])


def asked(prompt: str, tokens: int = 9, **changed: Any) -> Asked:
    return Asked(ids=tuple(byte_tokenizer()(prompt).input_ids), tokens=tokens, **changed)


def plain(model: Any, one: Asked) -> list[int]:
    """The greedy continuation by one whole forward pass a token."""
    ids = list(one.ids)
    for _ in range(one.tokens):
        ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(one.ids) :]


@families
def test_greedy_tokens_are_those_of_a_forward_pass_a_token(family: str) -> None:
    model = tiny_model(family)
    batch = [asked(prompt) for prompt in PROMPTS]
    assert continued(model, batch, GREEDY, rows=8) == [plain(model, one) for one in batch]


@pytest.mark.parametrize("sampling", [GREEDY, TOP_5])
def test_a_text_does_not_depend_on_its_company(sampling: Sampling) -> None:
    model = tiny_model("gpt2")
    batch = [asked(prompt, tokens=5 + place, seed=place) for place, prompt in enumerate(PROMPTS)]
    alone = [continued(model, [one], sampling, rows=8)[0] for one in batch]
    assert continued(model, batch, sampling, rows=8) == alone
    assert continued(model, batch[::-1], sampling, rows=8) == alone[::-1]
    assert [len(one) for one in alone] == [5, 6, 7, 8, 9]


def test_a_text_is_drawn_from_its_own_seed_among_the_likeliest() -> None:
    model = tiny_model("gpt2")
    drawn = [continued(model, [asked("Rome lies in", seed=seed)], TOP_5, rows=2)[0] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    for tokens in drawn:
        ids = torch.tensor([[*asked("Rome lies in").ids, *tokens]])
        likeliest = model(ids).logits[0, -len(tokens) - 1 : -1].topk(5).indices
        assert (likeliest == torch.tensor(tokens)[:, None]).any(-1).all()


def test_frequencies_of_what_is_drawn_are_the_likeliest_tokens_renormalised() -> None:
    model, rows = tiny_model("gpt2"), 64
    texts = [
        one
        for start in range(0, 2_048, rows)
        for one in continued(
            model, [asked("A", tokens=1, seed=seed) for seed in range(start, start + rows)], TOP_5, rows=rows
        )
    ]
    top = model(torch.tensor([asked("A").ids])).logits[0, -1].topk(5)
    shares = {int(token): sum(one == [token] for one in texts) / len(texts) for token in top.indices}
    wanted = dict(zip(top.indices.tolist(), top.values.softmax(-1).tolist(), strict=True))
    assert shares == pytest.approx(wanted, abs=0.04)


def test_the_end_is_the_last_token_of_a_text_that_has_one() -> None:
    model = tiny_model("gpt2")
    (tokens,) = continued(model, [asked("Rome")], GREEDY, rows=1)
    end = tokens[3]
    found = continued(model, [asked("Rome", end=end), asked("Rome")], GREEDY, rows=2)
    assert found == [tokens[: tokens.index(end) + 1], tokens]


@families
def test_what_prompts_have_in_common_may_be_read_at_once(family: str) -> None:
    model = tiny_model(family)
    batch = [asked("Now: " + prompt) for prompt in PROMPTS]
    assert continued(model, batch, GREEDY, rows=5, together=5) == continued(model, batch, GREEDY, rows=5)


def test_a_prompt_that_leaves_no_room_has_no_continuation() -> None:
    batch = [asked("Rome", tokens=0), asked("Rome", tokens=-4)]
    assert continued(tiny_model("gpt2"), batch, TOP_5, rows=4) == [[], []]


def test_batches_hold_every_prompt_once_the_longest_first() -> None:
    some = [asked(prompt, tokens=tokens) for prompt, tokens in (("A", 3), ("AAAA", 3), ("AA", 9), ("A", -7))]
    assert cut(some, 3) == [[2, 1, 0], [3]]
    assert cut([], 3) == []


def test_every_step_has_the_same_shape_so_that_company_does_not_move_the_last_bit() -> None:
    model, shapes = tiny_model("gpt2"), set()
    handle = model.register_forward_pre_hook(lambda _, inputs: shapes.add(tuple(inputs[0].shape)))
    for count in (1, 3, 5):
        continued(model, [asked(prompt) for prompt in PROMPTS[:count]], GREEDY, rows=5)
    handle.remove()
    assert shapes == {(5, 1)}
