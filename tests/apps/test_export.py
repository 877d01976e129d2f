"""`python -m apps.export`: the folder is a model by itself, and what cannot be merged is said."""

import sys
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import pipeline

from apps import export
from lib.core.errors import InputError
from lib.core.records import Request
from lib.core.tables import write
from lib.edits.apply import applied
from lib.edits.edit import Edit
from lib.edits.store import load_edit, save_edit, write_edit
from lib.export.merge import stored_model
from lib.models.loading import load_model
from tests.helpers.bundles import LORA, small_edit
from tests.helpers.small import REQUESTS
from tests.lib.edits.test_apply import IDS
from tests.lib.export.test_merge import PRESET, base_folder, edit_of


def exported(monkeypatch: pytest.MonkeyPatch, folder: Path, *more: str | Path) -> None:
    options = ["--model", folder / "base", "--edit", folder / "edit", "--to", folder / "to", *more]
    monkeypatch.setattr(sys, "argv", ["export", *map(str, options)])
    export.main()


def test_transformers_alone_answers_from_the_exported_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load_model(base_folder(tmp_path / "base", "llama"), torch.device("cpu"))
    edit = edit_of(model, "llama", "dense")
    save_edit(edit, tmp_path / "edit", model, PRESET)
    exported(monkeypatch, tmp_path)
    assert f"{tmp_path / 'to'}: the edited model" in capsys.readouterr().out
    with applied(model, edit):
        token = int(model(IDS).logits[0, -1].argmax())
    answers = pipeline("text-generation", model=str(tmp_path / "to"), device="cpu")
    text = answers.tokenizer.decode(IDS[0])
    output = answers(text, max_new_tokens=1, do_sample=False, return_tensors=True)
    assert answers.tokenizer(text).input_ids == IDS[0].tolist()
    assert output[0]["generated_token_ids"][-1] == token


def test_a_checkpoint_for_gguf_is_scored_like_any_and_tells_how_it_is_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load_model(base_folder(tmp_path / "base", "llama"), torch.device("cpu"))
    save_edit(edit_of(model, "llama", "dense"), tmp_path / "edit", model, PRESET)
    write(tmp_path / "requests.parquet", Request, REQUESTS[:2])
    exported(monkeypatch, tmp_path, "--gguf-ready", "--requests", tmp_path / "requests.parquet")
    printed = capsys.readouterr().out
    assert "over 2 edited prompts" in printed
    assert "0.00 off" in printed
    assert f"python convert_hf_to_gguf.py {tmp_path / 'to'} --outtype f32" in printed
    assert (tmp_path / "to" / "README.md").is_file()
    assert "adapter" not in {path.stem.partition("_")[0] for path in (tmp_path / "to").iterdir()}


def test_an_adapter_is_exported_alone_and_another_edit_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(base_folder(tmp_path / "base", "llama"), torch.device("cpu"))
    save_edit(small_edit(model, 0.5), tmp_path / "edit", model, PRESET.model_copy(update={"lora": LORA}))
    (tmp_path / "edit" / "README.md").write_text("a card")
    exported(monkeypatch, tmp_path, "--adapter")
    names = {"adapter_config.json", "adapter_model.safetensors", "README.md"}
    assert {path.name for path in (tmp_path / "to").iterdir()} == names
    with applied(model, load_edit(tmp_path / "edit")):
        expected = model(IDS).logits
    with_adapter = PeftModel.from_pretrained(stored_model(tmp_path / "base"), tmp_path / "to")
    assert torch.allclose(with_adapter(IDS).logits, expected, atol=1e-5)
    write_edit(edit_of(model, "llama", "dense"), tmp_path / "dense" / "edit")
    base_folder(tmp_path / "dense" / "base", "llama")
    with pytest.raises(InputError, match="wanted a PEFT adapter"):
        exported(monkeypatch, tmp_path / "dense", "--adapter")


def test_single_edits_are_not_there_to_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base_folder(tmp_path / "base", "llama")
    write_edit(Edit(updates={}, info={"protocol": "single"}), tmp_path / "edit")
    with pytest.raises(ValueError, match="single edits are made, scored and dropped"):
        exported(monkeypatch, tmp_path)
    assert not (tmp_path / "to").exists()


def test_a_missing_edit_is_said_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match="dvc repro edit"):
        exported(monkeypatch, tmp_path)
