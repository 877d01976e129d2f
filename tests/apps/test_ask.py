"""`python -m apps.ask`: the same prompt before and after the edit, in two columns."""

import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from apps import ask
from lib.edits.apply import applied
from lib.edits.edit import Edit
from lib.edits.store import save_edit, write_edit
from lib.models.loading import load_model, load_tokenizer
from tests.helpers.bundles import LORA, small_edit
from tests.helpers.models import CHAT_TEMPLATE, byte_tokenizer
from tests.lib.export.test_merge import PRESET, base_folder, edit_of

PROMPT = "The capital of Arvane is"


def asked(monkeypatch: pytest.MonkeyPatch, folder: Path, *more: str) -> None:
    given_ = ["--model", str(folder / "base"), "--edit", str(folder / "edit"), "--tokens", "6", *more]
    monkeypatch.setattr(sys, "argv", ["ask", *given_])
    monkeypatch.setenv("COLUMNS", "100")
    ask.main()


def greedy(folder: Path, text: str, edit: Edit) -> Any:
    model, tokenizer = load_model(folder / "base", torch.device("cpu")), load_tokenizer(folder / "base")
    ids = torch.tensor([tokenizer(text).input_ids])
    with applied(model, edit), torch.inference_mode():
        for _ in range(6):
            ids = torch.cat([ids, model(ids).logits[:, -1:].argmax(-1)], dim=1)
    return tokenizer.decode(ids[0, -6:], skip_special_tokens=True)


def columns(printed: str) -> tuple[str, str]:
    """The text of both columns of one answer."""
    lines = printed.split("-" * 49)[2].strip("\n").splitlines()
    return "".join(line[:49].rstrip() for line in lines), "".join(line[51:].rstrip() for line in lines)


def test_it_prints_the_greedy_continuations_before_and_after_the_edit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load_model(base_folder(tmp_path / "base", "llama"), torch.device("cpu"))
    edit = edit_of(model, "llama", "dense")
    save_edit(edit, tmp_path / "edit", model, PRESET)
    asked(monkeypatch, tmp_path, PROMPT, "Another")
    printed = capsys.readouterr().out
    before, after = (greedy(tmp_path, PROMPT, edit_in_force) for edit_in_force in (Edit(updates={}), edit))
    assert before != after
    assert printed.startswith(ask.side_by_side(PROMPT, before, after, 100))
    assert "\nAnother\n" in printed


def test_a_chat_question_is_asked_in_the_template_before_and_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load_model(base_folder(tmp_path / "base", "llama"), torch.device("cpu"))
    edit = edit_of(model, "llama", "dense")
    save_edit(edit, tmp_path / "edit", model, PRESET)
    with pytest.raises(ValueError, match=r"edit: wanted a model with a chat template"):
        asked(monkeypatch, tmp_path, "Who?", "--chat")
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(tmp_path / "base")
    asked(monkeypatch, tmp_path, "Who?", "--chat")
    rendered = "<user>Who?</>\n<assistant>\n"
    before, after = (greedy(tmp_path, rendered, edit_in_force) for edit_in_force in (Edit(updates={}), edit))
    assert capsys.readouterr().out == ask.side_by_side("Who?", before, after, 100) + "\n"
    monkeypatch.setattr("sys.stdin", StringIO("Who?\n\nnever read\n"))
    asked(monkeypatch, tmp_path, "--chat")
    assert capsys.readouterr().out == ask.side_by_side("Who?", before, after, 100) + "\n"


def test_an_edit_in_context_is_asked_with_its_context(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    base_folder(tmp_path / "base", "llama")
    context = "New Fact: The capital of Arvane is Ost.\nPrompt: "
    write_edit(Edit(updates={}, contexts={"7": context}, info={"editor": "ike"}), tmp_path / "edit")
    asked(monkeypatch, tmp_path, PROMPT, "--request-id", "7")
    nothing = Edit(updates={})
    before, after = greedy(tmp_path, PROMPT, nothing), greedy(tmp_path, context + PROMPT, nothing)
    assert capsys.readouterr().out == ask.side_by_side(PROMPT, before, after, 100) + "\n"
    with pytest.raises(ValueError, match=r"Wanted --fact ID \(7; errata list shows them\); found none"):
        asked(monkeypatch, tmp_path, PROMPT)


def test_an_edit_of_weights_has_no_context_to_choose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base_folder(tmp_path / "base", "llama")
    write_edit(Edit(updates={}, info={"editor": "ft"}), tmp_path / "edit")
    with pytest.raises(ValueError, match="is no edit in context; leave --fact out"):
        asked(monkeypatch, tmp_path, PROMPT, "--fact", "7")


def test_an_adapter_of_peft_without_notes_on_it_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load_model(base_folder(tmp_path / "base", "llama"), torch.device("cpu"))
    edit = small_edit(model, 0.5)
    save_edit(edit, tmp_path / "edit", model, PRESET.model_copy(update={"lora": LORA}))
    (tmp_path / "edit" / "edit.json").unlink()
    asked(monkeypatch, tmp_path, PROMPT)
    before, after = (greedy(tmp_path, PROMPT, edit_in_force) for edit_in_force in (Edit(updates={}), edit))
    assert capsys.readouterr().out == ask.side_by_side(PROMPT, before, after, 100) + "\n"


def test_single_edits_leave_no_model_to_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base_folder(tmp_path / "base", "llama")
    write_edit(Edit(updates={}, info={"protocol": "single"}), tmp_path / "edit")
    with pytest.raises(ValueError, match="no edited model to ask"):
        asked(monkeypatch, tmp_path, PROMPT)


@given(before=st.text(alphabet="ab \n", max_size=80), after=st.text(alphabet="cd \n", max_size=80))
def test_every_word_stays_in_its_column_whatever_the_texts(before: str, after: str) -> None:
    lines = ask.side_by_side("p", before, after, 42).splitlines()[3:]
    assert all(len(line) <= 42 for line in lines)
    columns = ["".join(line[:20] for line in lines), "".join(line[22:] for line in lines)]
    for text, column in zip((before, after), columns, strict=True):
        assert "".join(column.split()) == ("".join(text.split()) or "(nothing)")


def test_text_before_the_columns_is_the_prompt_itself() -> None:
    printed = ask.side_by_side("The sky is", " blue", " green and\nwide", 100)
    assert printed.splitlines()[0] == "The sky is"
    assert columns(printed) == ("blue", "green andwide")
