"""What an edit puts before a prompt: its request's text, and the notes that are nearest to the prompt."""

from dataclasses import replace
from pathlib import Path

import pytest

from lib.core.errors import InputError
from lib.edits.contexts import Contexts
from lib.edits.edit import Edit, compose
from lib.edits.notes import Notebook
from lib.edits.store import digests, read_edit, write_edit
from lib.export.merge import merged
from lib.neighbors.encoders import HashingEncoder
from tests.helpers.models import tiny_model

TEXTS = {"a": "Ada lives in Rome", "b": "The author of Emma is Bo Lund", "c": "Cy speaks Dutch"}


def notebook(count: int = 1, threshold: float = 0.3, **texts: str) -> Notebook:
    return Notebook(texts=texts or TEXTS, encoder="hashing", count=count, threshold=threshold)


def test_the_nearest_note_is_stated_before_a_prompt_whatever_its_request() -> None:
    before = Contexts(notes=notebook())
    for request_id in ("a", "b", "nobody's"):
        assert before(request_id, "Ada lives in") == "New Fact: Ada lives in Rome\nPrompt: "
    assert before("a", "The author of Emma is") == "New Fact: The author of Emma is Bo Lund\nPrompt: "


def test_a_note_is_found_by_the_last_sentence_where_what_stands_before_it_is_about_something_else() -> None:
    before = Contexts(notes=notebook(threshold=0.6))
    prompt = "Shayna does this, and Yossel goes still and dies. Rain fell on the whole valley. Ada lives in"
    assert before("", prompt) == before("", "Ada lives in") == "New Fact: Ada lives in Rome\nPrompt: "
    assert before("", "Ada lives in the hills. Rain fell on the whole valley, and Yossel was glad of it") == ""


def test_many_prompts_at_once_get_the_notes_that_each_gets_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [
        "Ada lives in",
        "Rain fell on the valley. The author of Emma is",
        "Water boils at",
        "Cy speaks",
        "Ada lives in",
    ]
    before = Contexts(notes=notebook(count=2))
    before.retrieve(prompts)
    together = [before("", prompt) for prompt in prompts]
    assert together == [Contexts(notes=notebook(count=2))("", prompt) for prompt in prompts]
    assert together[2] == "" != together[3]
    monkeypatch.setattr(HashingEncoder, "encode", lambda *_: pytest.fail("encoded what was found before"))
    assert before("", "Cy speaks") == together[3]


def test_a_prompt_near_no_note_stays_as_it_is() -> None:
    assert Contexts(notes=notebook())("a", "Water boils at a temperature of") == ""
    assert Contexts()("a", "Ada lives in") == ""


def test_of_several_notes_the_nearest_stands_right_before_the_prompt() -> None:
    text = Contexts(notes=notebook(count=2, threshold=-1.0))("", "Cy speaks")
    assert text.endswith("New Fact: Cy speaks Dutch\nPrompt: ")
    assert text.count("New Fact: ") == 2


def test_the_text_of_a_request_comes_before_its_prompts_alone() -> None:
    before = Contexts(texts={"a": "Rome has moved. "})
    assert before("a", "Ada lives in") == "Rome has moved. "
    assert before("b", "Ada lives in") == ""


def test_notes_travel_with_the_edit_and_add_up_the_later_one_holding(tmp_path: Path) -> None:
    first = Edit(updates={}, notes=notebook(), info={"editor": "rag"})
    second = Edit(updates={}, notes=notebook(a="Ada lives in Bern", d="Di lives in Bonn"), info={"editor": "rag"})
    write_edit(compose(first, second), tmp_path)
    loaded = read_edit(tmp_path)
    assert loaded.notes is not None
    assert loaded.notes.texts == TEXTS | {"a": "Ada lives in Bern", "d": "Di lives in Bonn"}
    assert compose(first, Edit(updates={})).notes == first.notes
    with pytest.raises(InputError, match="edit by rag is notes to retrieve"):
        merged(tiny_model("llama"), first)
    assert [*digests(tmp_path)] == ["notes.json"]
    (tmp_path / "notes.json").write_text('{"texts": {"a": 1}}')
    with pytest.raises(InputError, match="wanted notes"):
        read_edit(tmp_path)


def test_an_encoder_that_there_is_none_of_is_told_as_one_of_the_edits_notes() -> None:
    """The fault: of a damaged file the setting neighbors.encoder was blamed."""
    contexts = Contexts(notes=replace(notebook(e0="Ada lives in Rome"), encoder="hash{}ing"))
    with pytest.raises(InputError, match=r"the edit's notes\.json names: .*'hash\{\}ing' could not be loaded"):
        contexts("e0", "Ada lives in")
