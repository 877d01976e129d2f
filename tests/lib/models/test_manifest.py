"""A model's files are what the manifest notes; an edit that is passed on names its base without a path."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from lib.core.errors import InputError
from lib.core.files import read_json, write_json
from lib.core.params import Model, preset
from lib.edits.store import save_edit
from lib.export.merge import stored_model, write_merged
from lib.models.fetching import write_manifest
from lib.models.loading import load_model, load_tokenizer
from lib.models.manifest import MANIFEST, weights_folder
from tests.helpers.imports import ROOT
from tests.helpers.models import byte_tokenizer, tiny_model
from tests.lib.export.test_merge import edit_of

TINY = preset("models", "tiny", Model)


def base_of(folder: Path, source: str = "folder") -> Path:
    """A folder as stage base writes it for a model in a folder of the user's, beside which it lies."""
    tiny_model("llama").save_pretrained(folder / "own" / "model")
    byte_tokenizer().save_pretrained(folder / "own" / "model")
    (folder / "base").mkdir()
    write_manifest(folder / "base", TINY.model_copy(update={"source": source, "name": str(folder / "own" / "model")}))
    return folder / "base"


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def test_a_flipped_byte_in_the_weights_is_an_error(tmp_path: Path) -> None:
    base = base_of(tmp_path)
    load_model(base, torch.device("cpu"))
    flip(tmp_path / "own/model/model.safetensors")
    with pytest.raises(InputError, match=r"model\.safetensors: wanted sha256 .*single-item base"):
        load_model(base, torch.device("cpu"))


@pytest.mark.parametrize("name", ["tokenizer.json", "config.json"])
def test_a_changed_or_absent_file_beside_the_weights_is_an_error_of_the_tokenizer_too(
    name: str, tmp_path: Path
) -> None:
    base = base_of(tmp_path)
    (tmp_path / "own/model/README.md").write_text("no part of the model")
    load_tokenizer(base)
    (tmp_path / "own/model" / name).unlink()
    for load in (load_tokenizer, lambda base: load_model(base, torch.device("cpu"))):
        with pytest.raises(InputError, match=rf"{re.escape(name)}: wanted sha256 .*found no such file"):
            load(base)


def test_an_adapter_and_a_merged_checkpoint_name_the_base_without_a_path_and_with_its_revision(
    tmp_path: Path,
) -> None:
    base = base_of(tmp_path)
    model: Any = stored_model(base)
    own = TINY.model_copy(update={"source": "folder", "name": str(tmp_path / "own/model")})
    hub = TINY.model_copy(update={"source": "hub", "name": "someone/model", "revision": "0" * 40})
    for model_preset, name, revision in ((own, "model", None), (hub, "someone/model", "0" * 40)):
        edit = edit_of(model, "llama", "low rank")
        updates = {path: update for path, update in edit.updates.items() if "norm" not in path}
        save_edit(type(edit)(updates=updates, info=edit.info), tmp_path / "edit", model, model_preset)
        config = read_json(tmp_path / "edit/adapter_config.json")
        assert (config["base_model_name_or_path"], config["revision"]) == (name, revision)
        assert read_json(tmp_path / "edit/edit.json")["model"] == name
    write_merged(model, edit_of(model, "llama", "dense"), base, tmp_path / "to")
    for path in (*(tmp_path / "edit").glob("*.json"), tmp_path / "to/errata.json"):
        assert str(tmp_path) not in path.read_text()


def test_the_lines_of_the_guide_load_a_model_that_only_has_a_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = base_of(tmp_path)
    text = (ROOT / "docs/own-facts.md").read_text()
    (block,) = (block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "models/base" in block)
    loading = "\n".join(line.strip() for line in block.splitlines() if "Peft" not in line)
    names: dict[str, Any] = {}
    exec(loading.replace("models/base", str(base)), names)
    expected = AutoModelForCausalLM.from_pretrained(tmp_path / "own/model")
    assert torch.equal(names["model"].lm_head.weight, expected.lm_head.weight)


@pytest.mark.parametrize("conversion", ["absent-gguf-1", "..", "x" * 300, "\uff21"])
def test_a_key_of_a_converted_model_that_is_absent_or_none_is_an_error_that_names_the_manifest(
    conversion: str, tmp_path: Path
) -> None:
    base = base_of(tmp_path)
    write_json(base / MANIFEST, read_json(base / MANIFEST) | {"conversion": conversion})
    with pytest.raises((InputError, FileNotFoundError), match=rf"{re.escape(str(base / MANIFEST))}: "):
        weights_folder(base)
