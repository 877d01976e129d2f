"""`errata demo`: what the page does, and, where gradio is installed, the page itself."""

import gc
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from apps import demo as demonstration
from apps.demo import Demo, page
from apps.speaking import TOKENS, Speaker, asked, speaker_of
from lib.core.errors import InputError
from lib.edits.edit import Edit
from tests.helpers.bundles import small_bundle, small_edit
from tests.helpers.small import REQUESTS


@pytest.fixture
def speaker(tmp_path: Path) -> Speaker:
    return speaker_of(asked(None, small_bundle(tmp_path / "edit", REQUESTS[:1], is_latest=False).folder))


def small_demo(speaker: Speaker, facts: list[Mapping[str, Any]] | None = None) -> Demo:
    def correct(fact: Mapping[str, Any]) -> Edit:
        if facts is not None:
            facts.append(fact)
        return small_edit(speaker.model, 3.0)

    return Demo(speaker=speaker, correct=correct)


def test_a_model_is_asked_before_and_after_its_edit(speaker: Speaker) -> None:
    ((before, after),) = speaker.before_and_after(["Ada lives in"], TOKENS)
    assert small_demo(speaker).ask("Ada lives in ", False) == (before.strip(), str(after).strip())
    assert before != after
    in_chat = small_demo(speaker).ask("Who is Ada?", True)
    assert in_chat[0] == speaker.before_and_after(["Who is Ada?"], 60, in_chat=True)[0][0].strip()
    with pytest.raises(InputError, match="prompt: wanted the beginning of a sentence"):
        small_demo(speaker).ask("  ", False)


def test_without_an_edit_the_page_says_so(speaker: Speaker) -> None:
    alone = Speaker(model=speaker.model, tokenizer=speaker.tokenizer, edit=None, name="a model")
    assert small_demo(alone).ask("Ada lives in", False)[1] == "(there is no edit)"


def test_a_fact_is_corrected_on_the_unedited_model_and_asked_at_two_prompts(speaker: Speaker) -> None:
    facts: list[Mapping[str, Any]] = []
    texts = small_demo(speaker, facts).correct_and_ask("", " Ada lives in", "Rome", "The home of Ada is")
    assert facts == [{"prompt": "Ada lives in", "target_new": "Rome"}]
    assert texts[0] == small_demo(speaker).ask("Ada lives in", False)[0]
    assert texts[1] != small_demo(speaker).ask("Ada lives in", False)[1]
    assert all(texts)
    assert small_demo(speaker).correct_and_ask("Ada", "Ada lives in", "Rome", "")[2:] == ("", "")


def test_a_package_that_is_absent_is_named(monkeypatch: pytest.MonkeyPatch, speaker: Speaker) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(
        InputError, match=r"wanted the package gradio; found none\. pip install -r requirements-demo.txt"
    ):
        demonstration.launch(small_demo(speaker), 0, print)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_page_has_both_functions_and_shows_an_error_of_the_user(speaker: Speaker) -> None:
    gradio = pytest.importorskip("gradio", reason="requirements-demo.txt is not installed")
    blocks = page(gradio, small_demo(speaker))
    names = {function.api_name: function.fn for function in blocks.fns.values()}
    assert names["ask"]("Ada lives in", False) == small_demo(speaker).ask("Ada lives in", False)
    assert len(names["correct"]("Ada", "Ada lives in", "Rome", "")) == 4
    with pytest.raises(gradio.Error, match="prompt: wanted"):
        names["ask"]("", False)
    del blocks, names
    gc.collect()  # gradio's event loop is never closed
