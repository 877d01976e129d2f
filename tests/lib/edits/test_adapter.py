"""LoRA adapters: trained, stored, read by PEFT, and gone without a trace."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from lib.core.params import Lora
from lib.edits.adapter import load_adapter, new_adapter, save_adapter, target_modules
from lib.edits.apply import applied, shape_of
from lib.edits.edit import Edit
from lib.edits.updates import Dense, LowRank
from tests.helpers.models import CONFIGS, TARGETS, tiny_model

IDS = torch.tensor([[5, 6, 7, 8, 9, 10]])


def random_edit(family: str, model: torch.nn.Module, dense: bool = False) -> Edit:
    generator = torch.Generator().manual_seed(1)
    updates: dict[str, LowRank | Dense] = {}
    for path, module in target_modules(model, Lora(r=1, alpha=1.0, targets=TARGETS[family])).items():
        d_out, d_in = shape_of(module)
        left = torch.randn(d_out, 4, generator=generator) * 0.3
        right = torch.randn(4, d_in, generator=generator) * 0.3
        updates[path] = Dense(delta=left @ right) if dense else LowRank(left=left, right=right)
    return Edit(updates=updates)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("family", CONFIGS)
def test_an_applied_edit_changes_the_answers_and_leaves_no_trace(family: str, dense: bool) -> None:
    model = tiny_model(family)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    logits = model(IDS).logits
    with pytest.raises(RuntimeError, match="in the middle"), applied(model, random_edit(family, model, dense)):
        assert not torch.allclose(model(IDS).logits, logits, atol=1e-3)
        raise RuntimeError("in the middle")
    assert torch.equal(model(IDS).logits, logits)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("family", [name for name in CONFIGS if name != "gptj"])
def test_a_low_rank_edit_equals_its_dense_form(family: str) -> None:
    model = tiny_model(family)
    with applied(model, random_edit(family, model)):
        low = model(IDS).logits
    with applied(model, random_edit(family, model, dense=True)):
        torch.testing.assert_close(model(IDS).logits, low, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("family", CONFIGS)
def test_peft_reads_a_stored_adapter_and_computes_the_same(family: str, tmp_path: Path) -> None:
    model = tiny_model(family)
    lora = Lora(r=4, alpha=8.0, targets=TARGETS[family])
    edit = random_edit(family, model)
    save_adapter(tmp_path / "adapter", edit.updates, model, lora, "tiny")
    with applied(model, Edit(updates=load_adapter(tmp_path / "adapter"))):
        own_logits = model(IDS).logits
    model.save_pretrained(tmp_path / "base")
    peft_model = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(tmp_path / "base"), tmp_path / "adapter"
    )
    torch.testing.assert_close(peft_model(IDS).logits, own_logits, atol=2e-4, rtol=1e-4)


_SAVE = """
import sys
from pathlib import Path
from lib.core.params import Lora
from lib.edits.adapter import new_adapter, save_adapter
from tests.helpers.models import tiny_model
model, lora = tiny_model("llama"), Lora(r=2, alpha=4, targets=["v_proj", "q_proj", "o_proj", "up_proj", "down_proj"])
save_adapter(Path(sys.argv[1]), new_adapter(model, lora, seed=0).updates(), model, lora, "base")
"""


@pytest.mark.slow
def test_a_stored_adapter_is_the_same_bytes_under_every_hash_seed(tmp_path: Path) -> None:
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-c", _SAVE, tmp_path / seed], env=environment, check=True, timeout=300)
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / seed).iterdir()} for seed in ("1", "2"))
    assert first == second
    assert json.loads(first["adapter_config.json"])["target_modules"] == [
        "down_proj", "o_proj", "q_proj", "up_proj", "v_proj"
    ]  # fmt: skip


def test_a_new_adapter_changes_nothing_and_is_the_same_for_the_same_seed() -> None:
    model = tiny_model("gptj")
    lora = Lora(r=4, alpha=8.0, targets=TARGETS["gptj"])
    first, same, reseeded = (new_adapter(model, lora, seed) for seed in (0, 0, 1))
    with applied(model, Edit(updates=first.updates())):
        changed = model(IDS).logits
    assert torch.equal(changed, model(IDS).logits)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), same.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), reseeded.parameters(), strict=True))


def test_a_wrong_target_names_the_modules_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"no linear module or embedding named query.*c_attn"):
        target_modules(tiny_model("gpt2"), Lora(r=1, alpha=1.0, targets=["query"]))


def test_edits_that_do_not_fit_are_refused_before_anything_is_touched() -> None:
    model = tiny_model("llama")
    path = "model.layers.0.mlp.down_proj"
    before = model.get_submodule(path).weight.clone()
    for path_given, delta, complaint in [
        ("model.layers.9.mlp.down_proj", torch.zeros(32, 48), "no such module"),
        (path, torch.zeros(48, 32), "wanted shape"),
        (path, torch.full((32, 48), float("nan")), "not finite"),
    ]:
        with (
            pytest.raises(ValueError, match=complaint),
            applied(model, Edit(updates={path: Dense(delta=torch.ones(32, 48)), path_given: Dense(delta=delta)})),
        ):
            pass
        assert torch.equal(model.get_submodule(path).weight, before)
