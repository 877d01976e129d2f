"""The training objective and its gradients against the released fine-tuning code with its masks corrected."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, PreTrainedModel

from lib.edits.adapter import Adapter, load_adapter
from lib.methods.training.example import Example
from lib.methods.training.masking import PublishedMasking
from lib.methods.training.pairs import unmasked
from lib.models.likelihood import token_nll
from lib.models.packing import Item, pack
from lib.runtime.quiet import quiet_transformers
from tests.helpers.updates import low_rank

GOLDEN = Path(__file__).parent.parent / "golden"


def attached_adapter() -> tuple[PreTrainedModel, Adapter]:
    with quiet_transformers():
        model = AutoModelForCausalLM.from_pretrained(GOLDEN / "models/gptj", dtype=torch.float32).eval()
    model.requires_grad_(False)
    stored = load_adapter(GOLDEN / "models/gptj_lora_adapter")
    scale = 16 / 8
    adapter = Adapter(
        a={path: low_rank(update).right.clone().requires_grad_() for path, update in stored.items()},
        b={path: (low_rank(update).left / scale).requires_grad_() for path, update in stored.items()},
        scale=scale,
    )
    return model, adapter


def pairs() -> list[Item]:
    stored = json.loads((GOLDEN / "conditional_loss.json").read_text())["pairs"]
    return [Item(prompt=tuple(pair["prompt"]), targets=(tuple(pair["target"]),)) for pair in stored]


def loss_and_adapter(masked: bool) -> tuple[torch.Tensor, Adapter]:
    model, adapter = attached_adapter()
    items = pairs() if masked else [unmasked(item) for item in pairs()]
    with adapter.attached(model):
        loss = token_nll(model, pack(items)).mean()
    return loss, adapter


@pytest.mark.parametrize(
    ("masked", "name"),
    [(True, "masked_as_published_token_id_equality"), (False, "unmasked_as_published_includes_padding")],
)
def test_published_masking_equals_the_released_loss_and_gradient_norm(masked: bool, name: str) -> None:
    expected = json.loads((GOLDEN / "conditional_loss.json").read_text())["results"][name]
    model, adapter = attached_adapter()
    batch = [Example(item=item) for item in pairs()]
    masking = PublishedMasking(end=0, masks_prompt=masked, text_tokens=2)
    with adapter.attached(model):
        loss = torch.stack([masking.loss(model, share, batch, 0.0) for share in (batch[:3], batch[3:])]).sum()
    assert loss.item() == pytest.approx(expected["loss"], abs=1e-5)
    gradients = torch.autograd.grad(loss, adapter.parameters())
    total = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    assert total.item() == pytest.approx(expected["grad_norm"]["total"], rel=1e-4)


@pytest.mark.parametrize(
    ("masked", "name"), [(True, "masked_by_position"), (False, "unmasked_padding_ignored_without_eos")]
)
def test_loss_and_gradient_norm_equal_the_original(masked: bool, name: str) -> None:
    expected = json.loads((GOLDEN / "conditional_loss.json").read_text())["results"][name]
    loss, adapter = loss_and_adapter(masked)
    assert loss.item() == pytest.approx(expected["loss"], abs=1e-5)
    gradients = torch.autograd.grad(loss, adapter.parameters())
    total = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    assert total.item() == pytest.approx(expected["grad_norm"]["total"], rel=1e-4)


def test_gradients_of_single_matrices_equal_the_original() -> None:
    loss, adapter = loss_and_adapter(masked=True)
    loss.backward()  # type: ignore[no-untyped-call]
    golden = load_file(GOLDEN / "conditional_gradients.safetensors")
    assert golden
    for name, expected in golden.items():
        path, _, kind = name.partition(".lora_")
        matrices = adapter.a if kind.removeprefix("embedding_").startswith("A") else adapter.b
        gradient = matrices[path].grad
        assert gradient is not None
        assert (gradient - expected).norm() <= 1e-4 * expected.norm(), name
