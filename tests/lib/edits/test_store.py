"""Edits on disk, scratch space, and how a stage starts in several processes."""

import json
import re
from pathlib import Path

import pytest
import torch

from lib.core import params
from lib.core.errors import InputError
from lib.core.files import write_json
from lib.edits.apply import applied
from lib.edits.edit import Edit
from lib.edits.store import INFO, MEMORIES, NOTES, UPDATES, load_edit, save_edit
from lib.edits.updates import Dense, LowRank
from lib.models import loading
from lib.models.fetching import write_manifest
from lib.runtime import launch, scratch
from lib.runtime.tensors import load_tensors, save_tensors
from tests.helpers.models import tiny_model
from tests.helpers.updates import dense

PATH = "model.layers.1.mlp.down_proj"
PRESET = params.preset("models", "tiny", params.Model)


@pytest.mark.parametrize("kind", ["low rank", "dense"])
def test_an_edit_comes_back_from_disk_with_the_same_values(kind: str, tmp_path: Path) -> None:
    update = LowRank(left=torch.randn(32, 2), right=torch.randn(2, 48)) if kind == "low rank" else Dense(
        delta=torch.randn(32, 48)
    )  # fmt: skip
    model = tiny_model("llama")
    save_edit(Edit(updates={PATH: update}, info={"editor": "other"}), tmp_path, model, PRESET)
    loaded = load_edit(tmp_path)
    assert torch.equal(dense(loaded.updates[PATH]), update.dense())
    assert loaded.info["editor"] == "other"
    with applied(model, loaded):
        pass


def test_a_folder_without_an_edit_is_an_error_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="dvc repro edit"):
        load_edit(tmp_path)


@pytest.mark.parametrize("editor", ["lora", "other"])
def test_a_stored_value_that_is_not_finite_is_an_error_that_names_the_file(editor: str, tmp_path: Path) -> None:
    """The fault: a flipped bit of an edit's or an adapter's weights was refused without their file."""
    update = LowRank(left=torch.ones(32, 2), right=torch.ones(2, 48))
    save_edit(Edit(updates={PATH: update}, info={"editor": editor}), tmp_path, tiny_model("llama"), PRESET)
    (file,) = tmp_path.glob("*.safetensors")
    tensors = load_tensors(file)
    save_tensors({name: tensor.clone().fill_(torch.inf) for name, tensor in tensors.items()}, file)
    with pytest.raises(InputError, match=rf"{re.escape(str(file))}: {re.escape(PATH)}: wanted finite values"):
        load_edit(tmp_path)


@pytest.mark.parametrize(
    ("file", "tensors"),
    [
        (UPDATES, {"left": torch.ones(32, 2), "right": torch.ones(3, 48)}),
        (UPDATES, {"delta": torch.ones(32)}),
        (UPDATES, {"index": torch.tensor([9]), "value": torch.ones(1), "size": torch.tensor([3, 3])}),
        (
            MEMORIES,
            {"keys": torch.ones(2, 4), "values": torch.ones(1, 4), "radii": torch.ones(2), "labels": torch.ones(2)},
        ),
    ],
)
def test_stored_tensors_that_do_not_fit_together_are_an_error_that_names_the_file(
    file: str, tensors: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    write_json(tmp_path / INFO, {"editor": "other"})
    save_tensors({f"{PATH}/{name}": tensor for name, tensor in tensors.items()}, tmp_path / file)
    with pytest.raises(InputError, match=rf"{re.escape(str(tmp_path / file))}: .*wanted tensors that fit together"):
        load_edit(tmp_path)


def test_notes_with_an_unknown_key_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    """The fault: a key that notes have not was a TypeError."""
    write_json(tmp_path / INFO, {"editor": "other"})
    write_json(tmp_path / NOTES, {"texts": {}, "encoder": "hashing", "count": 1, "threshold": 0.5, "more": 1})
    with pytest.raises(InputError, match=rf"{NOTES}: wanted notes"):
        load_edit(tmp_path)


def test_a_fingerprint_changes_with_content_and_not_with_time(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("one")
    first = scratch.fingerprint(input=file, lr=0.1)
    assert scratch.fingerprint(lr=0.1, input=file) == first
    file.write_text("two")
    assert scratch.fingerprint(input=file, lr=0.1) != first


def test_scratch_survives_and_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with scratch.scratch("stage", "key") as folder:
        (folder / "piece").write_text("done")
    with scratch.scratch("stage", "key") as folder:
        assert (folder / "piece").read_text() == "done"
        scratch.forget(folder)
    with scratch.scratch("stage", "key") as folder:
        assert not list(folder.iterdir())


def test_a_wrong_number_of_processes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setenv("ERRATA_PROCESSES", "two")
    with pytest.raises(ValueError, match="ERRATA_PROCESSES: wanted a number"):
        launch.relaunch("stages.edit", [])


def test_a_folder_model_is_described_and_loaded_and_one_without_safetensors_refused(tmp_path: Path) -> None:
    weights, base = tmp_path / "weights", tmp_path / "base"
    base.mkdir()
    preset = PRESET.model_copy(update={"source": "folder", "name": str(weights)})
    weights.mkdir()
    with pytest.raises(FileNotFoundError, match=r"weights in \*\.safetensors"):
        write_manifest(base, preset)
    tiny_model("gpt2").save_pretrained(weights)
    write_manifest(base, preset)
    manifest = json.loads((base / "manifest.json").read_text())
    assert len(manifest["files"]["model.safetensors"]) == 64
    model = loading.load_model(base, torch.device("cpu"))
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_a_model_that_caps_its_logits_is_refused() -> None:
    model = tiny_model("llama")
    head = model.get_output_embeddings()
    forward = type(model).forward

    def capped(self: object, *arguments: object, **named: object) -> object:
        output = forward(self, *arguments, **named)
        output.logits = torch.tanh(output.logits)
        return output

    class Capped(type(model)):  # type: ignore[misc]
        pass

    Capped.forward = capped
    model.__class__ = Capped
    assert head is not None
    with pytest.raises(ValueError, match="scales or caps"):
        loading.check_split(model)


def test_a_hub_model_without_a_pinned_revision_is_refused(tmp_path: Path) -> None:
    preset = PRESET.model_copy(update={"source": "hub", "name": "someone/something"})
    with pytest.raises(ValueError, match="needs its revision"):
        write_manifest(tmp_path, preset)
