"""*.bin checkpoints become safetensors with the same values, and what is more than tensors is never loaded."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from lib.models import pickled
from tests.helpers.models import byte_tokenizer, tiny_model


def saved(folder: Path, family: str, parts: int = 1) -> dict[str, torch.Tensor]:
    """A tiny model stored as PyTorch's own format, as old checkpoints on the hub are; its weights."""
    model = tiny_model(family)
    model.config.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    weights = dict(model.state_dict())
    names = sorted(weights)
    if parts == 1:
        torch.save(weights, folder / "pytorch_model.bin")
        return weights
    files = {name: f"pytorch_model-0000{1 + i % parts}-of-0000{parts}.bin" for i, name in enumerate(names)}
    for file in set(files.values()):
        torch.save({name: weights[name] for name in names if files[name] == file}, folder / file)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))
    return weights


@pytest.mark.parametrize(("family", "parts"), [("gpt2", 1), ("gptj", 2), ("llama", 1)])
def test_a_bin_checkpoint_becomes_safetensors_with_the_same_values(tmp_path: Path, family: str, parts: int) -> None:
    (tmp_path / "old").mkdir()
    weights = saved(tmp_path / "old", family, parts)
    pickled.convert(tmp_path / "old", tmp_path / "new")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "new", use_safetensors=True).state_dict()
    assert {name: value.tolist() for name, value in loaded.items()} == {
        name: value.tolist() for name, value in weights.items()
    }
    assert (tmp_path / "new/chat_template.jinja").read_text() == "{{ messages }}"
    assert not list((tmp_path / "new").glob("*.bin*"))


def test_tensors_that_share_memory_are_stored_each(tmp_path: Path) -> None:
    tied = torch.arange(6.0).reshape(2, 3)
    torch.save({"a": tied, "b": tied, "c": tied.T}, tmp_path / "pytorch_model.bin")
    pickled.convert(tmp_path, tmp_path / "new")
    stored = load_file(tmp_path / "new/model.safetensors")
    assert stored["a"].equal(tied)
    assert stored["b"].equal(tied)
    assert stored["c"].equal(tied.T)


class Command:
    """What a malicious checkpoint holds."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch harmed",)


def test_a_file_that_would_run_something_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Command()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin: wanted tensors alone(.|\n)*not\s+loaded any other way"):
        pickled.convert(tmp_path, tmp_path / "new")
    assert not (tmp_path / "harmed").exists()
    assert not (tmp_path / "new").exists()


def test_a_file_of_something_else_than_tensors_by_name_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="wanted tensors by their names; found dict with other values"):
        pickled.convert(tmp_path, tmp_path / "new")
