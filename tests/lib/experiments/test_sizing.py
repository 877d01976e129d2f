"""The cost model against counts made by hand on published shapes."""

from dataclasses import replace

import pytest
from transformers import GPT2Config, GPTJConfig, LlamaConfig

from lib.core.params import Lora
from lib.experiments import sizing

LORA = Lora(r=32, alpha=64.0, targets=["c_attn", "c_proj", "c_fc"])
SMALL = GPT2Config()
WORK = sizing.Work(
    edits=10_000, pairs=360_000, pair_tokens=15, target_tokens=2, epochs=6, batch_size=32, micro_batch_tokens=4096,
    prompts=13, targets=2, greedy_tokens=75, passage_tokens=1_000, text_rows=16,
    paraphrase_tokens=240, paraphrase_batch=256, paraphrase_context=250,
)  # fmt: skip
DEVICE = sizing.Device(name="one", peak=1e15, share=0.4, memory=3e12, link=2e11, layer_seconds=1e-3)
FAST = replace(DEVICE, memory=1e30, link=1e30, layer_seconds=0.0)
"""Nothing but arithmetic takes time."""


def test_published_sizes_come_out() -> None:
    xl = sizing.shape_of_model(GPT2Config(n_embd=1600, n_layer=48, n_head=25), LORA)
    assert xl.weights == 1_557_611_200
    assert xl.matrix_weights == 48 * 12 * 1600 * 1600
    assert xl.adapter == 48 * 32 * (4 * 1600 + 2 * 1600 + 2 * 5 * 1600)
    assert xl.cache == 2 * 48 * 1600 * 2
    gptj = sizing.shape_of_model(GPTJConfig(), LORA.model_copy(update={"targets": ["q_proj"]}))
    assert gptj.weights == pytest.approx(6.05e9, rel=1e-3)
    llama = LlamaConfig(vocab_size=128_256, hidden_size=4096, intermediate_size=14_336, num_hidden_layers=32,
                        num_attention_heads=32, num_key_value_heads=8, tie_word_embeddings=False)  # fmt: skip
    shape = sizing.shape_of_model(llama, LORA.model_copy(update={"targets": ["q_proj"]}))
    assert shape.weights == pytest.approx(8.03e9, rel=1e-3)
    assert (shape.inner, shape.cache) == (14_336, 2 * 32 * 1024 * 2)


def test_what_training_keeps_is_between_the_matrices_inputs_and_three_times_all_they_read_and_write() -> None:
    shape = sizing.shape_of_model(SMALL, LORA)
    inputs = 12 * 2 * (768 + 768 + 768 + 3072)
    assert inputs < shape.saved < 3 * 12 * 2 * ((768 + 2304) + (768 + 768) + (768 + 3072) + (3072 + 768))


def test_training_costs_four_operations_a_weight_and_token() -> None:
    small = sizing.shape_of_model(SMALL, LORA)
    need = sizing.edit_need(small, WORK, FAST)
    matrices = 4 * 12 * 12 * 768**2 * 360_000 * 15 * 6
    head = 4 * 768 * 50_257 * 360_000 * 2 * 6
    assert need.hours * 3600 * 4e14 == pytest.approx(matrices + head, rel=1e-6)
    assert need.gib > small.weights * 2 / 2**30


def test_small_batches_wait_for_their_operations_to_start_and_more_processes_do_not_help() -> None:
    small = sizing.shape_of_model(SMALL, LORA)
    alone, eight = (sizing.edit_need(small, WORK, DEVICE, processes) for processes in (1, 8))
    assert alone.hours == pytest.approx(67_500 * 12 * 2 * 1e-3 / 3600, rel=0.05)
    assert eight.hours >= alone.hours
    large = replace(WORK, batch_size=32_768)
    assert sizing.edit_need(small, large, DEVICE, 8).hours == pytest.approx(
        sizing.edit_need(small, large, DEVICE).hours / 8, rel=0.1
    )


def test_more_tokens_a_pass_take_more_memory() -> None:
    small = sizing.shape_of_model(SMALL, LORA)
    work = replace(WORK, batch_size=4096)
    small_passes, large_passes = (
        sizing.edit_need(small, replace(work, micro_batch_tokens=n), FAST) for n in (1024, 8192)
    )
    assert large_passes.gib - small_passes.gib == pytest.approx(7168 * small.saved / 2**30, rel=0.3)
    assert large_passes.hours == pytest.approx(small_passes.hours)


def test_scoring_is_shared_and_decoding_waits_for_memory() -> None:
    small = sizing.shape_of_model(SMALL, LORA)
    assert sizing.score_need(small, WORK, DEVICE, 8).hours == pytest.approx(
        sizing.score_need(small, WORK, DEVICE).hours / 8, rel=0.01
    )
    held = 256 * 250 * 2 * 12 * 768 * 2
    steps = 10_000 * 240 / 256
    hours = steps * (small.weights * 2 + held) / 3e12 / 3600
    assert sizing.paraphrase_need(small, WORK, DEVICE).hours == pytest.approx(hours, rel=1e-3)


def test_texts_are_written_a_token_a_step_and_more_rows_take_fewer_steps() -> None:
    xl = sizing.shape_of_model(GPT2Config(n_embd=1600, n_layer=48, n_head=25), LORA)
    few_rows, many_rows, shared = (
        sizing.text_need(xl, replace(WORK, text_rows=rows), DEVICE, processes)
        for rows, processes in ((16, 1), (64, 1), (16, 4))
    )
    assert few_rows.hours == pytest.approx(2 * 10_000 * 1_075 / 16 * 48 * 1e-3 / 3_600)
    assert many_rows.hours == shared.hours == pytest.approx(few_rows.hours / 4)
    assert few_rows.gib < many_rows.gib < few_rows.gib + 64 * 100 * xl.cache / 2**30 + 0.2


def test_spread_over_eight_processes_a_model_takes_an_eighth_of_its_blocks_and_the_time_to_gather_them() -> None:
    xl = sizing.shape_of_model(GPT2Config(n_embd=1600, n_layer=48, n_head=25), LORA)
    assert xl.block_weights == 48 * (12 * 1600**2 + 13 * 1600)
    blocks = 2 * xl.block_weights
    for need in (sizing.edit_need, sizing.score_need, sizing.text_need):
        alone, spread = (need(xl, WORK, DEVICE, 8, sharded=sharded) for sharded in (False, True))
        assert (alone.gib - spread.gib) * 2**30 == pytest.approx(blocks * (1 - 1 / 8 - 2 / 48))
    slow = replace(FAST, link=1.0)
    assert sizing.text_need(xl, WORK, slow, 8, sharded=True).hours == pytest.approx(
        2 * 10_000 * 1_075 / 16 / 8 * blocks * 7 / 8 / 3_600
    )
