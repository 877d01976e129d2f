"""vLLM continues as transformers does, and a prompt's text depends on nothing but the prompt and its seed."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from lib.generation import vllm
from lib.generation.engine import Prompt, Sampling
from lib.generation.texts import TransformersGenerator
from lib.generation.vllm import VllmGenerator

WORDS = ("The", "capital", "of", "France", "Rome", "river", "is", "Paris", "who", "wrote", "it", "Answer", "nobody")
PREFIX = "The capital of France is Paris. The river of Rome is nobody. " * 6
TEXTS = ("The river is", "Answer who wrote it", "Rome", "nobody of France", "Paris is who", "The capital")
MAX_LENGTH = 512
GREEDY = Sampling(max_tokens=24, temperature=1.0, top_k=0, greedy=True)
SAMPLED = Sampling(max_tokens=24, temperature=1.0, top_k=0)


class Running(NamedTuple):
    """A started engine, and the model that it runs."""

    folder: Path
    generator: VllmGenerator


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("model")
    _save_model(folder)
    with VllmGenerator(folder, dtype="float32", max_length=MAX_LENGTH, seed=0, memory_gib=1) as generator:
        yield Running(folder, generator)


def test_an_absent_vllm_is_an_error_that_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(vllm, "available", lambda: False)
    with pytest.raises(ValueError, match=r"not installed.* requirements-vllm-cpu\.txt"):
        VllmGenerator(tmp_path, dtype="float32", max_length=MAX_LENGTH, seed=0)


@pytest.mark.vllm
@pytest.mark.skipif(not vllm.available(), reason="vllm is not installed (requirements-vllm-cpu.txt)")
@pytest.mark.filterwarnings("ignore")  # vLLM's imports and start-up warn of much that is not ours to mend
class TestStartedEngine:
    def test_greedy_continuations_are_those_of_transformers(self, running: Running) -> None:
        prompts = _prompts(TEXTS[:3])
        tokenizer = PreTrainedTokenizerFast.from_pretrained(running.folder)
        model = LlamaForCausalLM.from_pretrained(running.folder, dtype=torch.float32)
        expected = []
        for prompt in prompts:
            inputs = tokenizer(PREFIX + prompt.text, return_tensors="pt")
            output = model.generate(**inputs, max_new_tokens=GREEDY.max_tokens, do_sample=False)
            expected.append(tokenizer.decode(output[0, inputs.input_ids.shape[1] :], skip_special_tokens=True))
        assert len(set(expected)) == 3
        assert running.generator.generate(PREFIX, prompts, GREEDY) == expected

    def test_a_prompt_alone_gives_the_same_text_as_among_others(self, running: Running) -> None:
        prompts = _prompts(TEXTS * 5)
        together = running.generator.generate(PREFIX, prompts, SAMPLED)
        alone = [running.generator.generate(PREFIX, [prompt], SAMPLED)[0] for prompt in prompts[::5]]
        assert alone == together[::5]

    def test_tokens_are_those_of_the_texts_and_an_end(self, running: Running) -> None:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(running.folder)
        texts = running.generator.generate(PREFIX, _prompts(TEXTS), SAMPLED)
        tokens = running.generator.generate_tokens(PREFIX, _prompts(TEXTS), SAMPLED)
        assert [tokenizer.decode(ids, skip_special_tokens=True) for ids in tokens] == texts
        assert all(ids[-1] == tokenizer.eos_token_id or len(ids) == SAMPLED.max_tokens for ids in tokens)

    def test_results_come_back_in_the_order_of_the_prompts(self, running: Running) -> None:
        prompts = _prompts(TEXTS)
        forwards = running.generator.generate(PREFIX, prompts, SAMPLED)
        backwards = running.generator.generate(PREFIX, prompts[::-1], SAMPLED)
        assert len(set(forwards)) == len(prompts)
        assert backwards == forwards[::-1]

    def test_different_seeds_give_different_texts(self, running: Running) -> None:
        prompts = [Prompt(text=TEXTS[0], seed=seed) for seed in range(8)]
        assert len(set(running.generator.generate(PREFIX, prompts, SAMPLED))) == 8

    def test_top_k_of_one_is_greedy_whatever_the_seed(self, running: Running) -> None:
        only_best = Sampling(max_tokens=24, temperature=1.0, top_k=1)
        prompts = _prompts(TEXTS)
        expected = running.generator.generate(PREFIX, prompts, GREEDY)
        assert running.generator.generate(PREFIX, prompts, only_best) == expected

    def test_a_stop_text_ends_the_continuation_and_is_left_out(self, running: Running) -> None:
        prompts = _prompts(TEXTS[:1])
        (unstopped,) = running.generator.generate(PREFIX, prompts, GREEDY)
        stop = unstopped[len(unstopped) // 2 :][:3]
        stopped = Sampling(max_tokens=24, temperature=1.0, top_k=0, stop=(stop, "never seen"), greedy=True)
        assert running.generator.generate(PREFIX, prompts, stopped) == [unstopped[: unstopped.index(stop)]]

    def test_stopped_greedy_texts_are_those_of_the_transformers_generator(self, running: Running) -> None:
        stopped = Sampling(max_tokens=24, temperature=1.0, top_k=0, stop=("e", "."), greedy=True)
        model = LlamaForCausalLM.from_pretrained(running.folder, dtype=torch.float32)
        transformers_generator = TransformersGenerator(model, PreTrainedTokenizerFast.from_pretrained(running.folder))
        expected = transformers_generator.generate(PREFIX, _prompts(TEXTS), stopped)
        assert running.generator.generate(PREFIX, _prompts(TEXTS), stopped) == expected

    def test_the_shared_prefix_comes_from_the_cache(self, running: Running) -> None:
        running.generator.generate(PREFIX, _prompts(TEXTS), SAMPLED)
        rate = running.generator.prefix_cache_hit_rate()
        assert rate is not None
        assert 0.5 < rate < 1

    def test_a_prompt_that_leaves_no_room_is_refused(self, running: Running) -> None:
        with pytest.raises(ValueError, match=f"exceed the model's {MAX_LENGTH}"):
            running.generator.generate(PREFIX * 9, _prompts(TEXTS[:1]), GREEDY)


def _prompts(texts: tuple[str, ...]) -> list[Prompt]:
    return [Prompt(text=text, seed=1000 + index) for index, text in enumerate(texts)]


def _save_model(folder: Path) -> None:
    """A random two-layer Llama with heads of 32, over words and ASCII bytes: every continuation is valid text."""
    alphabet = [chr(code) for code in range(33, 127)] + ["Ġ"]
    vocabulary = [("<|end|>", 0.0), *((byte, -10.0) for byte in alphabet)]
    vocabulary += [(space + word, -1.0) for word in WORDS for space in ("", "Ġ")]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|end|>"])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|end|>",
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    ).save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=MAX_LENGTH,
        initializer_range=0.3,  # wide, so that the best token is best by far more than rounding
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
