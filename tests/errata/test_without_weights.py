"""`errata` with edits that change no weight: what works with a memory or notes, and what refuses them by name."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from apps import outcome
from apps.serve import Answering
from apps.speaking import opened
from errata.command import app
from errata.frame import NO
from lib.editors import grace
from lib.edits.edit import Edit
from lib.edits.notes import Notebook
from lib.edits.store import load_edit
from lib.generation.engine import Prompt, greedy
from lib.generation.texts import TransformersGenerator
from lib.handover.bundle import Bundle
from lib.models.loading import load_model, load_tokenizer
from lib.models.templates import chat_prompt
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
    assert "found one by rag" in called("merge", lora.folder, notes.folder, "--to", tmp_path / "sum", code=1)
    assert "edit by rag is notes" in called("export", notes.folder, "--to", tmp_path / "model", code=1)
    more = tmp_path / "more.csv"
    more.write_text("prompt,target_new\nCleo lives in,Nice\n")
    assert "edit by rag is notes" in called("add", more, "--edit", notes.folder, code=1)


def continued(folder: Path, text: str, tokens: int = 5) -> str:
    """What the unedited model of a bundle writes after a text, read by itself."""
    model, tokenizer = load_model(folder, torch.device("cpu")), load_tokenizer(folder)
    (written,) = TransformersGenerator(model, tokenizer).generate("", [Prompt(text=text, seed=0)], greedy(tokens))
    return written


def answers(*arguments: str | Path) -> list[dict[str, str]]:
    texts: list[dict[str, str]] = json.loads(called("ask", *arguments, "--tokens", "5", "--json"))["texts"]
    return texts


def test_notes_that_are_near_a_prompt_are_stated_before_it_whoever_asks(tmp_path: Path) -> None:
    notes = small_bundle(tmp_path / "notes", REQUESTS[:2], edit=NOTES)
    near, far = answers("Ada lives in", "Water boils at", "--edit", notes.folder)
    stated = "New Fact: Ada lives in Rome\nPrompt: "
    assert near["after"] == continued(notes.base, f"{stated}Ada lives in") != near["before"]
    assert far["after"] == far["before"] == continued(notes.base, "Water boils at")
    (question,) = answers("Ada lives in Rome?", "--chat", "--edit", notes.folder)
    template = chat_prompt(load_tokenizer(notes.base), f"{stated}Ada lives in Rome?")
    assert question["after"] == continued(notes.base, template) != question["before"]
    served = Answering(opened(None, notes.folder))
    body = {"prompt": "Ada lives in", "max_tokens": 5, "temperature": 0}
    assert [served.completion({**body, "model": name})["choices"][0]["text"] for name in ("edited", "before")] == [
        near["after"], near["before"]
    ]  # fmt: skip
    asked_in_chat = {"messages": [{"role": "user", "content": "Ada lives in Rome?"}], "max_tokens": 5, "temperature": 0}
    answer = served.chat(asked_in_chat)
    assert answer["choices"][0]["message"]["content"] == question["after"].strip()
    assert answer["usage"]["prompt_tokens"] == len(load_tokenizer(notes.base)(template).input_ids)


def test_a_memory_is_asked_before_and_after(tmp_path: Path) -> None:
    lora = small_bundle(tmp_path / "lora", REQUESTS[2:])
    memory = with_memory(tmp_path / "memory", lora.base)
    (row,) = answers(REQUESTS[0].prompt, "--edit", memory.folder)
    assert row["before"] == continued(memory.base, REQUESTS[0].prompt) != row["after"]


def test_an_edit_in_context_is_verified_and_asked_by_the_fact_that_is_named(tmp_path: Path) -> None:
    texts = {request.request_id: f"New Fact: {request.prompt} {request.target_new}\nPrompt: " for request in REQUESTS}
    edit = Edit(updates={}, contexts=texts, info={"editor": "ike"})
    bundle = small_bundle(tmp_path / "ike", REQUESTS, edit=edit)
    assert json.loads(called("verify", bundle.folder, "--json"))["equal"]
    first, second = (request.request_id for request in REQUESTS[:2])
    (row,) = answers("Ada lives in", "--edit", bundle.folder, "--fact", second)
    assert row["after"] == continued(bundle.base, f"{texts[second]}Ada lives in") != row["before"]
    message = called("ask", "Ada lives in", "--edit", bundle.folder, code=1)
    assert f"Wanted --fact ID ({first}, {second}" in message
    assert "found 'e9'" in called("ask", "Ada lives in", "--edit", bundle.folder, "--fact", "e9", code=1)
    assert "Wanted --fact ID" in called("serve", bundle.folder, "--port", "0", code=1)
    (served,) = Answering(opened(None, bundle.folder, second)).completion(
        {"prompt": "Ada lives in", "max_tokens": 5, "temperature": 0}
    )["choices"]
    assert served["text"] == row["after"]
    assert f"--edit {bundle.folder} --fact ID" in told(bundle)
    plain = small_bundle(tmp_path / "lora", REQUESTS[2:])
    assert "is no edit in context" in called("ask", "Ada", "--edit", plain.folder, "--fact", first, code=1)
    assert "--fact" not in told(plain)


def told(bundle: Bundle, **headline: float) -> str:
    console = Console(record=True, width=400, file=StringIO())
    finished = outcome.outcome_of(bundle)
    info = finished.info.model_copy(update={"headline": {**finished.info.headline, **headline}})
    outcome.tell(replace(finished, info=info), console)
    return console.export_text()


def test_an_edit_that_harms_elsewhere_is_told_of_the_scope_that_would_leave_it(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "lora", REQUESTS)
    harmless = {"unchanged": 80.0, "perplexity_ratio": 1.1}
    assert "scope.encoder" not in told(bundle, **harmless)
    assert "-S scope.encoder=minilm" in told(bundle, **harmless | {"unchanged": 79.9})
    assert "-S scope.encoder=minilm" in told(bundle, **harmless | {"perplexity_ratio": 1.2})
    notes = small_bundle(tmp_path / "notes", REQUESTS[:2], edit=NOTES)
    assert "scope.encoder" not in told(notes, unchanged=10.0)
    (bundle.folder / "scope.json").write_text("{}")
    assert "scope.encoder" not in told(bundle, unchanged=10.0)


def test_the_card_of_an_edit_that_peft_cannot_load_does_not_say_that_it_does(tmp_path: Path) -> None:
    lora, notes = (
        small_bundle(tmp_path / "lora", REQUESTS[2:]),
        small_bundle(tmp_path / "notes", REQUESTS[:2], edit=NOTES),
    )
    texts = [called("card", bundle.folder) for bundle in (lora, notes)]
    assert ["library_name" in text for text in texts] == [True, False]
    assert ["PeftModel" in text for text in texts] == [True, False]
    assert "text that goes before prompts: `errata ask`" in texts[1]
    memory = called("card", with_memory(tmp_path / "memory", lora.base).folder)
    assert "library_name" not in memory
    assert 'with Edit.load("FOLDER").applied(model):' in memory
