"""Causal tracing against the same computed pass by pass."""

from typing import Any

import pytest
import torch

from lib.core.errors import InputError
from lib.core.records import Request
from lib.methods.locating.tracing import Effects, Tracing, effects, window_of
from lib.models.architecture import architecture
from lib.models.tokens import encode_edits
from tests.helpers.baselines import REQUESTS
from tests.helpers.models import byte_tokenizer, tiny_model

HOW = Tracing(noise=3.0, samples=2, window=1, tokens=64, seed=5)


def trace(model: Any, facts: list[Request], how: Tracing) -> Effects:
    return effects(model, byte_tokenizer(), facts, how, lambda work: work)


def probability(model: Any, ids: list[int], target: tuple[int, ...], prompt: int) -> float:
    log_p = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    return float(sum(log_p[prompt - 1 + k, token] for k, token in enumerate(target)).exp())


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@torch.no_grad()
def test_effects_are_those_of_single_passes_with_noise_and_one_mlp_restored(family: str) -> None:
    model, fact = tiny_model(family), REQUESTS[1]  # "Bo Lund lives in": a token is a letter, the subject the first 7
    (item,) = encode_edits(byte_tokenizer(), [fact])
    (target,) = item.targets
    ids = [*item.prompt, *target[:-1]]
    embedding, paths = model.get_input_embeddings(), architecture(model)
    deviation = embedding(torch.tensor(ids[:7])).std()
    noise = 3.0 * deviation * torch.randn(2, 7, 32, generator=torch.Generator().manual_seed(5))
    clean: dict[int, torch.Tensor] = {}

    def read(layer: int) -> Any:
        return lambda module, inputs, output: clean.__setitem__(layer, output[0, 6].clone())

    hooks = [model.get_submodule(paths.mlp_of(layer)).register_forward_hook(read(layer)) for layer in range(2)]
    clean_p = probability(model, ids, target, len(item.prompt))
    for hook in hooks:
        hook.remove()

    def blurred(draw: int, restored: int | None) -> float:
        def blur(module: Any, inputs: Any, output: torch.Tensor) -> torch.Tensor:
            return torch.cat([output[:, :7] + noise[draw], output[:, 7:]], dim=1)

        def restore(module: Any, inputs: Any, output: torch.Tensor) -> torch.Tensor:
            return torch.cat([output[:, :6], clean[restored or 0][None, None], output[:, 7:]], dim=1)

        hooks = [embedding.register_forward_hook(blur)]
        if restored is not None:
            hooks.append(model.get_submodule(paths.mlp_of(restored)).register_forward_hook(restore))
        p = probability(model, ids, target, len(item.prompt))
        for hook in hooks:
            hook.remove()
        return p

    traced = trace(model, [fact], HOW)
    assert traced.clean == pytest.approx(clean_p, rel=1e-4)
    assert traced.blurred == pytest.approx((blurred(0, None) + blurred(1, None)) / 2, rel=1e-4)
    for layer in range(2):
        assert traced.restored[layer] == pytest.approx((blurred(0, layer) + blurred(1, layer)) / 2, rel=1e-4)
    assert traced.layer == max((0, 1), key=lambda layer: traced.restored[layer])


def test_without_noise_nothing_is_lost_and_the_model_stays_as_it_was() -> None:
    model = tiny_model("llama")
    traced = trace(model, REQUESTS, Tracing(noise=0.0, samples=1, window=2, tokens=4096, seed=0))
    assert traced.blurred == pytest.approx(traced.clean, rel=1e-4)
    assert [*traced.restored] == pytest.approx([traced.clean] * 2, rel=1e-4)
    assert not any(module._forward_hooks for module in model.modules())


def test_results_do_not_depend_on_the_tokens_of_a_pass_and_no_fact_is_an_error() -> None:
    model = tiny_model("gpt2")
    one_by_one = trace(model, REQUESTS, Tracing(noise=3.0, samples=2, window=1, tokens=1, seed=5))
    assert [*one_by_one.restored] == pytest.approx([*trace(model, REQUESTS, HOW).restored], rel=1e-4)
    with pytest.raises(InputError, match="wanted facts that the model knows"):
        trace(model, [], HOW)


def test_a_fifth_of_the_depth_is_restored_together() -> None:
    assert [window_of(layers) for layers in (2, 30, 48)] == [1, 6, 10]
