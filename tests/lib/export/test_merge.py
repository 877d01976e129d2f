"""A merged checkpoint, read by transformers alone, says what the model with the edit applied says."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from lib.core.files import read_json
from lib.core.params import Lora, Model, preset
from lib.edits.adapter import target_modules
from lib.edits.apply import applied, shape_of
from lib.edits.edit import Edit
from lib.edits.updates import Dense, LowRank, Vector
from lib.export.merge import merged, stored_model, write_merged
from lib.models.fetching import write_manifest
from tests.helpers.models import CONFIGS, TARGETS, byte_tokenizer, tiny_model
from tests.lib.edits.test_apply import IDS, snapshot, unchanged, update

PRESET = preset("models", "tiny", Model)


def base_folder(folder: Path, family: str, dtype: torch.dtype = torch.float32) -> Path:
    """A folder as stage base writes it for a tiny model."""
    model = tiny_model(family).to(dtype)
    model.generation_config.max_new_tokens = 7
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    write_manifest(folder, PRESET)
    return folder


def edit_of(model: Any, family: str, kind: str) -> Edit:
    updates: dict[str, Any] = {
        path: update(kind, *shape_of(module))
        for path, module in target_modules(model, Lora(r=1, alpha=1.0, targets=TARGETS[family])).items()
    }
    norm = next(name for name, parameter in model.named_parameters() if parameter.shape == (32,))
    updates[norm] = Vector(shift=torch.linspace(-0.2, 0.2, 32))
    return Edit(updates=updates, info={"editor": "lora"})


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = model(IDS).logits
    return logits


def logits_with(model: Any, edit: Edit) -> torch.Tensor:
    with applied(model, edit):
        return logits(model)


@pytest.mark.parametrize("kind", ["low rank", "dense", "sparse"])
@pytest.mark.parametrize("family", CONFIGS)
def test_the_checkpoint_answers_as_the_edited_model_and_the_model_is_unchanged(
    family: str, kind: str, tmp_path: Path
) -> None:
    base = base_folder(tmp_path / "base", family)
    model = stored_model(base)
    edit, before = edit_of(model, family, kind), snapshot(model)
    write_merged(model, edit, base, tmp_path / "merged")
    assert unchanged(model, before)
    expected = logits_with(model, edit)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
    torch.testing.assert_close(logits(plain), expected, atol=2e-4, rtol=2e-4)
    assert not torch.allclose(expected, logits(model), atol=1e-2)
    plain.save_pretrained(tmp_path / "again")
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(tmp_path / "again")), logits(plain))


@pytest.mark.parametrize("kind", ["low rank", "dense"])
@pytest.mark.parametrize("path", ["transformer.wte", "lm_head", "both"])
def test_a_tied_weight_becomes_two_where_an_update_touches_it(path: str, kind: str, tmp_path: Path) -> None:
    base = base_folder(tmp_path / "base", "gpt2")
    model = stored_model(base)
    shared = model.lm_head.weight
    updates = {"transformer.wte": update(kind, 32, 260), "lm_head": update(kind, 260, 32, seed=1)}
    edit = Edit(updates=updates if path == "both" else {path: updates[path]})
    write_merged(model, edit, base, tmp_path / "merged")
    assert model.lm_head.weight is shared is model.transformer.wte.weight
    assert model.config.tie_word_embeddings is True
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
    assert plain.config.tie_word_embeddings is False
    torch.testing.assert_close(logits(plain), logits_with(model, edit), atol=2e-4, rtol=2e-4)
    for name, weight in (("transformer.wte", plain.transformer.wte.weight), ("lm_head", plain.lm_head.weight)):
        assert torch.equal(weight, shared) == (name not in edit.updates)


def test_a_tied_weight_that_no_update_touches_stays_one(tmp_path: Path) -> None:
    base = base_folder(tmp_path / "base", "gpt2")
    model = stored_model(base)
    write_merged(model, Edit(updates={"transformer.h.0.mlp.c_proj": update("dense", 32, 128)}), base, tmp_path / "to")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "to")
    assert plain.lm_head.weight is plain.transformer.wte.weight
    assert (tmp_path / "to/model.safetensors").stat().st_size < 1.01 * (base / "model.safetensors").stat().st_size


def test_the_weights_keep_the_dtype_that_the_base_stores(tmp_path: Path) -> None:
    base = base_folder(tmp_path / "base", "llama", torch.bfloat16)
    model = stored_model(base)
    edit = edit_of(model, "llama", "dense")
    write_merged(model, edit, base, tmp_path / "merged")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype="auto").eval()
    assert {parameter.dtype for parameter in plain.parameters()} == {torch.bfloat16}
    for path, change in edit.updates.items():  # the sum is rounded, not what is added
        if isinstance(change, Dense):
            total = model.get_submodule(path).weight.float() + change.delta
            assert torch.equal(plain.get_submodule(path).weight, total.bfloat16())


def test_tokenizer_generation_config_and_provenance_go_along(tmp_path: Path) -> None:
    base = base_folder(tmp_path / "base", "llama")
    model = stored_model(base)
    write_merged(model, edit_of(model, "llama", "low rank"), base, tmp_path / "merged")
    ids = AutoTokenizer.from_pretrained(tmp_path / "merged")("Ünïcode text").input_ids
    assert ids == AutoTokenizer.from_pretrained(base)("Ünïcode text").input_ids
    assert read_json(tmp_path / "merged/generation_config.json") == read_json(base / "generation_config.json")
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "merged").generation_config.max_new_tokens == 7
    assert read_json(tmp_path / "merged/errata.json") == {
        "base": {"name": "tiny", "revision": None, "source": "tiny"},
        "edit": {"editor": "lora"},
        "weights": {"dtype": "float32", "rounding": "nearest", "seed": None},
    }
    assert not (tmp_path / "merged/manifest.json").exists()


def test_the_merged_model_shares_the_weights_that_the_edit_leaves_alone() -> None:
    model = tiny_model("llama")
    path = "model.layers.0.mlp.down_proj"
    merged_model = merged(model, Edit(updates={path: update("dense", 32, 48)}))
    own_parameters = dict(model.named_parameters())
    assert [name for name, parameter in merged_model.named_parameters() if parameter is not own_parameters[name]] == [
        f"{path}.weight"
    ]
    assert merged_model.config is not model.config


def test_an_edit_in_context_is_refused(tmp_path: Path) -> None:
    base = base_folder(tmp_path / "base", "llama")
    edit = Edit(updates={}, contexts={"a": "New Fact: "}, info={"editor": "ike"})
    with pytest.raises(ValueError, match=r"edit by ike is text before every prompt \(1 contexts\)"):
        write_merged(stored_model(base), edit, base, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_an_edit_that_does_not_fit_or_is_not_finite_leaves_nothing(tmp_path: Path) -> None:
    base = base_folder(tmp_path / "base", "llama")
    for update_ in (Dense(delta=torch.zeros(3, 3)), LowRank(left=torch.ones(32, 1) / 0, right=torch.ones(1, 48))):
        with pytest.raises(ValueError, match=r"edit of model\.layers\.0"):
            write_merged(
                stored_model(base), Edit(updates={"model.layers.0.mlp.down_proj": update_}), base, tmp_path / "merged"
            )
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def test_a_write_that_is_cut_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = base_folder(tmp_path / "base", "llama")
    model = stored_model(base)

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("lib.export.merge.write_json", full)
    with pytest.raises(OSError, match="disk full"):
        write_merged(model, edit_of(model, "llama", "dense"), base, tmp_path / "merged")
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    base = base_folder(tmp_path / "base", "llama")
    (tmp_path / "merged").mkdir()
    (tmp_path / "merged/mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="new or empty"):
        write_merged(stored_model(base), Edit(updates={}), base, tmp_path / "merged")
    assert [path.name for path in (tmp_path / "merged").iterdir()] == ["mine.txt"]
