"""A frozen model computes in another number format for a while, and is itself again afterwards."""

import pytest
import torch

from lib.models.precision import computing_in, multiplies_bfloat16, training_dtype
from tests.helpers.models import tiny_model


def test_the_model_computes_in_it_and_is_restored_to_the_bit_on_every_exit() -> None:
    model = tiny_model("gpt2")  # its head and its embedding are one matrix
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(RuntimeError, match="stopped"), computing_in(model, torch.bfloat16):
        assert model(torch.tensor([[1, 2]])).logits.dtype == torch.bfloat16
        raise RuntimeError("stopped")
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


def test_none_leaves_the_model_as_it_is() -> None:
    model = tiny_model("llama")
    with computing_in(model, None):
        assert model.dtype == torch.float32


def test_a_precision_that_is_named_is_taken() -> None:
    cpu = torch.device("cpu")
    assert training_dtype("float32", cpu) is torch.float32
    assert training_dtype("bfloat16", cpu) is torch.bfloat16
    assert training_dtype("auto", torch.device("cuda")) is None
    assert training_dtype("auto", cpu) in (None, torch.bfloat16)


@pytest.mark.parametrize(
    ("bfloat16", "amx", "expected"), [(False, False, False), (True, False, True), (False, True, True)]
)
def test_an_x86_cpu_with_avx512_alone_does_not_train_in_bfloat16(
    monkeypatch: pytest.MonkeyPatch, bfloat16: bool, amx: bool, expected: bool
) -> None:
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: bfloat16)
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert multiplies_bfloat16("AMD64") == expected
    assert training_dtype("auto", torch.device("cpu")) is (torch.bfloat16 if expected else None)


def test_another_cpu_is_asked_as_torch_asks_it() -> None:
    assert multiplies_bfloat16("aarch64") == torch.ops.mkldnn._is_mkldnn_bf16_supported()
