"""`python -m apps.export`: the folder is a model by itself, and what cannot be merged is said."""

import sys
from pathlib import Path

import pytest
import torch
from transformers import pipeline

from apps import export
from lib.edits.apply import applied
from lib.edits.edit import Edit
from lib.edits.store import save_edit, write_edit
from lib.models.loading import load_model
from tests.lib.edits.test_apply import IDS
from tests.lib.export.test_merge import PRESET, base_folder, edit_of


def exported(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    options = ["--model", folder / "base", "--edit", folder / "edit", "--to", folder / "to"]
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


def test_single_edits_are_not_there_to_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base_folder(tmp_path / "base", "llama")
    write_edit(Edit(updates={}, info={"protocol": "single"}), tmp_path / "edit")
    with pytest.raises(ValueError, match="single edits are made, scored and dropped"):
        exported(monkeypatch, tmp_path)
    assert not (tmp_path / "to").exists()


def test_a_missing_edit_is_said_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match="dvc repro edit"):
        exported(monkeypatch, tmp_path)
