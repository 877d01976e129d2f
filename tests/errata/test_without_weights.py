"""`errata` with edits that change no weight: what works with a memory or notes, and what refuses them by name."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from errata.command import app
from errata.frame import NO
from lib.editors import grace
from lib.edits.edit import Edit
from lib.edits.notes import Notebook
from lib.edits.store import load_edit
from lib.handover.bundle import Bundle
from lib.models.loading import load_model, load_tokenizer
from tests.helpers.baselines import context, settings
from tests.helpers.bundles import small_bundle
from tests.helpers.small import REQUESTS
from tests.lib.editors.test_grace import SHORT

NOTES = Edit(
    updates={}, notes=Notebook(texts={"e0": "Ada lives in Rome"}, encoder="hashing", count=1, threshold=0.7),
    info={"editor": "rag"},
)  # fmt: skip


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TERM", "dumb")


def called(*arguments: str | Path, code: int = 0) -> str:
    """What a command prints, or says in its error; NO is what it ends with where an edit did not take."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return str(result.exception) if code else result.stdout


def with_memory(folder: Path, base: Path) -> Bundle:
    """A bundle of two facts that a memory holds."""
    model, tokenizer = load_model(base, torch.device("cpu")), load_tokenizer(base)
    edit = grace.edit(model, tokenizer, REQUESTS[:2], settings(grace, "grace", **SHORT), context())
    return small_bundle(folder, REQUESTS[:2], edit=edit)


def test_a_memory_is_verified_listed_merged_and_undone_but_not_exported(tmp_path: Path) -> None:
    lora = small_bundle(tmp_path / "lora", REQUESTS[2:])
    memory = with_memory(tmp_path / "memory", lora.base)
    assert json.loads(called("verify", memory.folder, "--json"))["equal"]
    assert "Ada lives in" in called("list", memory.folder)
    called("merge", memory.folder, lora.folder, "--to", tmp_path / "sum", code=NO)
    assert json.loads(called("verify", tmp_path / "sum", "--json"))["equal"]
    total = load_edit(tmp_path / "sum")
    assert total.memories
    assert total.updates
    assert not Bundle(folder=tmp_path / "sum").is_adapter
    message = called("export", memory.folder, "--to", tmp_path / "model", code=1)
    assert "edit by grace is a memory beside" in message
    memory.set_aside()
    small_bundle(memory.folder, REQUESTS[2:])
    called("undo", memory.folder)
    assert not memory.is_adapter
    assert load_edit(memory.folder).memories


def test_notes_are_verified_and_what_needs_weights_refuses_them(tmp_path: Path) -> None:
    lora, notes = (
        small_bundle(tmp_path / "lora", REQUESTS[2:]),
        small_bundle(tmp_path / "notes", REQUESTS[:2], edit=NOTES),
    )
    assert json.loads(called("verify", notes.folder, "--json"))["equal"]
    assert "python -m apps.ask" in called("ask", "Ada lives in", "--edit", notes.folder, code=1)
    assert "found one by rag" in called("merge", lora.folder, notes.folder, "--to", tmp_path / "sum", code=1)
    assert "edit by rag is notes" in called("export", notes.folder, "--to", tmp_path / "model", code=1)


def test_the_card_of_an_edit_that_peft_cannot_load_does_not_say_that_it_does(tmp_path: Path) -> None:
    lora, notes = (
        small_bundle(tmp_path / "lora", REQUESTS[2:]),
        small_bundle(tmp_path / "notes", REQUESTS[:2], edit=NOTES),
    )
    texts = [called("card", bundle.folder) for bundle in (lora, notes)]
    assert ["peft" in text.lower() for text in texts] == [True, True]
    assert ["library_name" in text for text in texts] == [True, False]
    assert ["PeftModel" in text for text in texts] == [True, False]
    assert "It is no adapter that PEFT loads" in texts[1]
