"""The decoding engine: its tokens, and that these depend on the prompt and its seed alone, to the bit."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from lib.generation.decoding import continuations
from lib.generation.engine import EncodedPrompt, Sampling, choose
from lib.generation.reading import Reader, ReadingShape
from lib.models.check import reading_of
from tests.helpers.models import byte_tokenizer
from tests.helpers.models import tiny_model as unchecked_model

GREEDY = Sampling(max_tokens=0, temperature=1.0, top_k=0, greedy=True)
TOP_5 = Sampling(max_tokens=0, temperature=1.0, top_k=5)
ALL = Sampling(max_tokens=0, temperature=1.0, top_k=0)
PROMPTS = ("The capital of France is", "A", "Rome lies in", "The mother tongue of Ada is", "Rome lies at")
families = pytest.mark.parametrize("family", ["gpt2", "gptj", "neox", "llama", "mistral", "qwen3", "gemma3"])


def tiny_model(family: str) -> Any:
    """A model as a loaded one is: checked, so that its first text makes no further passes."""
    model = unchecked_model(family)
    reading_of(model)
    return model


def encode(prompt: str, tokens: int = 9, **changed: Any) -> EncodedPrompt:
    return EncodedPrompt(ids=tuple(byte_tokenizer()(prompt).input_ids), tokens=tokens, **changed)


def many(count: int) -> list[EncodedPrompt]:
    """Prompts of many lengths, texts of many lengths, some of them behind a prefix."""
    prefix = encode("Now: ").ids
    return [
        encode(f"Now: {PROMPTS[i % 5]} {i}", tokens=3 + i * 7 % 60, seed=i, prefix=prefix if i % 3 else ())
        for i in range(count)
    ]


def greedy_without_cache(model: PreTrainedModel, prompt: EncodedPrompt) -> list[int]:
    """The greedy continuation by a forward pass over all tokens for every new one."""
    ids = list(prompt.ids)
    for _ in range(prompt.tokens):
        ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt.ids) :]


@families
def test_greedy_tokens_are_those_of_a_forward_pass_a_token_and_of_generate(family: str) -> None:
    model = tiny_model(family)
    batch = [encode(prompt, tokens=9 + index) for index, prompt in enumerate(PROMPTS)]
    tokens = continuations(model, batch, GREEDY)
    assert tokens == [greedy_without_cache(model, prompt) for prompt in batch]
    ids = torch.tensor([batch[0].ids])
    plain = model.generate(ids, max_new_tokens=9, do_sample=False, pad_token_id=0, eos_token_id=None)
    assert plain[0, ids.shape[1] :].tolist() == tokens[0]


@pytest.mark.parametrize("family", ["gpt2", "mistral", "gemma3"])
def test_a_text_is_the_same_alone_in_two_and_in_200_and_in_every_order(family: str) -> None:
    model, prompts = tiny_model(family), many(200)
    together = continuations(model, prompts, ALL)
    for index in range(0, 200, 33):
        alone, in_two = (continuations(model, prompts[index : index + count], ALL) for count in (1, 2))
        assert [*alone, together[index + 1]] == in_two == together[index : index + 2]
    order = Random(0).sample(range(200), 200)
    assert continuations(model, [prompts[index] for index in order], ALL) == [together[index] for index in order]
    assert continuations(model, prompts[120:], ALL) == together[120:]


def test_logits_are_the_same_bits_in_any_company(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only the texts: what tokens are drawn from."""
    seen: list[torch.Tensor] = []

    def watched(logits: torch.Tensor, uniform: Sequence[float], sampling: Sampling) -> list[int]:
        seen.extend(logits.clone())
        return choose(logits, uniform, sampling)

    monkeypatch.setattr("lib.generation.decoding.choose", watched)
    model, prompts = tiny_model("llama"), [prompt for prompt in many(40) if prompt.tokens > 8]
    continuations(model, prompts, ALL)
    together = {tuple(row.tolist()) for row in seen}
    for prompt in prompts[::5]:
        seen.clear()
        continuations(model, [prompt], ALL)
        assert {tuple(row.tolist()) for row in seen} <= together


def test_a_text_is_drawn_from_its_own_seed_among_the_likeliest() -> None:
    model = tiny_model("gpt2")
    texts = [continuations(model, [encode("Rome lies in", seed=seed)], TOP_5)[0] for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
    for tokens in texts:
        ids = torch.tensor([[*encode("Rome lies in").ids, *tokens]])
        likeliest = model(ids).logits[0, -len(tokens) - 1 : -1].topk(5).indices
        assert (likeliest == torch.tensor(tokens)[:, None]).any(-1).all()


def test_frequencies_of_what_is_drawn_are_the_likeliest_tokens_renormalised() -> None:
    model = tiny_model("gpt2")
    texts = continuations(model, [encode("A", tokens=1, seed=seed) for seed in range(2_048)], TOP_5)
    top = model(torch.tensor([encode("A").ids])).logits[0, -1].topk(5)
    shares = {int(token): sum(tokens == [token] for tokens in texts) / len(texts) for token in top.indices}
    expected = dict(zip(top.indices.tolist(), top.values.softmax(-1).tolist(), strict=True))
    assert shares == pytest.approx(expected, abs=0.04)


def test_the_end_is_the_last_token_of_a_text_that_has_one() -> None:
    model = tiny_model("gpt2")
    (tokens,) = continuations(model, [encode("Rome")], GREEDY)
    end = tokens[3]
    texts = continuations(model, [encode("Rome", end=end), encode("Rome")], GREEDY)
    assert texts == [tokens[: tokens.index(end) + 1], tokens]


@families
def test_what_prompts_have_in_common_is_read_once(family: str) -> None:
    model, prefix, passes = tiny_model(family), encode("Now: ").ids, []
    handle = model.register_forward_pre_hook(
        lambda _, inputs, options: passes.append(tuple(inputs[0].shape)) if inputs else None, with_kwargs=True
    )
    batch = [encode("Now: " + prompt, prefix=prefix) for prompt in PROMPTS]
    shared = continuations(model, batch, GREEDY)
    handle.remove()
    # The prefix; "A" with twelve times 8 places; 12 letters in 16 places; 24 and 28 letters in 24 and 32.
    assert sorted(passes) == [(1, len(prefix)), (3, 32), (4, 24), (6, 16), (12, 8)]
    assert shared == continuations(model, [encode("Now: " + prompt) for prompt in PROMPTS], GREEDY)


@families
def test_what_is_read_of_a_prompt_is_the_same_bits_in_any_company(family: str) -> None:
    """Keys, values and logits, wherever the prompt stands in a pass and whatever else is in it."""
    model, prefix = tiny_model(family), encode("Now: ").ids
    texts = [
        encode(f"Now: {letter * length}", prefix=prefix) for letter, length in zip("abcdef", range(11, 17), strict=True)
    ]
    shape = ReadingShape.of(texts[0])
    assert all(ReadingShape.of(text) == shape for text in texts)
    assert shape.rows(torch.device("cpu")) == len(texts)
    with torch.inference_mode():
        together = Reader(model).read([text.ids for text in texts], shape)
        for read, text in zip(together, texts, strict=True):
            (alone,) = Reader(model).read([text.ids], shape)
            assert torch.equal(alone.logits, read.logits)
            for of_layer, of_layer_alone in zip(read.cache, alone.cache, strict=True):
                assert of_layer[0].shape[2] == len(text.ids)
                assert all(torch.equal(*pair) for pair in zip(of_layer, of_layer_alone, strict=True))
            expected = model(torch.tensor([text.ids])).logits[:, -1]
            assert torch.allclose(read.logits, expected, atol=1e-4)


def test_a_long_prompt_is_read_alone() -> None:
    shape = ReadingShape.of(encode("a" * 49))
    assert (shape.padded, shape.rows(torch.device("cpu"))) == (49, 1)


def test_a_prompt_that_leaves_no_room_has_no_continuation() -> None:
    batch = [encode("Rome", tokens=0), encode("Rome", tokens=-4)]
    assert continuations(tiny_model("gpt2"), batch, TOP_5) == [[], []]


def test_a_slot_takes_the_next_text_when_its_own_ends() -> None:
    model, steps = tiny_model("gpt2"), []
    handle = model.register_forward_pre_hook(
        lambda _, inputs, options: steps.append(len(options["input_ids"])) if not inputs else None, with_kwargs=True
    )
    prompts = [encode("Rome lies in", tokens=tokens, seed=tokens) for tokens in (21, *[6] * 12)]
    continuations(model, prompts, ALL, slots=4)
    handle.remove()
    assert set(steps) == {4}
    assert len(steps) == 20  # four texts of 5 steps after one another beside one of 20; the first token costs no step


def test_texts_are_passed_on_as_they_end() -> None:
    ended: list[int] = []

    def show(texts: Iterator[tuple[int, list[int]]]) -> Iterator[tuple[int, list[int]]]:
        for index, tokens in texts:
            ended.append(index)
            yield index, tokens

    prompts = [encode("Rome", tokens=tokens) for tokens in (12, 0, 3)]
    continuations(tiny_model("gpt2"), prompts, GREEDY, show=show)
    assert ended == [1, 2, 0]
