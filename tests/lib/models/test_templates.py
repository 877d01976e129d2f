"""Chat templates: what is put around a question, and the manifest's word on whether there is one."""

from pathlib import Path

import pytest

from lib.core.files import read_json, write_json
from lib.models.loading import load_tokenizer
from lib.models.templates import around_question, chat_prompt, has_template
from lib.models.tokens import encode, prompt_ids
from tests.helpers import small
from tests.helpers.models import CHAT_TEMPLATE, byte_tokenizer


def test_a_question_ends_where_the_answer_begins_and_earlier_turns_come_first() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE
    rendered = chat_prompt(tokenizer, "Who?", [("Hi", "Hello")])
    assert rendered == "<user>Hi</>\n<assistant>Hello</>\n<user>Who?</>\n<assistant>\n"
    before, after = around_question(tokenizer, [("Hi", "Hello")])
    assert before + "Who?" + after == rendered
    (item,) = encode(tokenizer, [rendered], [["Rome"]])
    assert list(item.prompt) == prompt_ids(tokenizer, rendered)
    assert tokenizer.decode(item.targets[0]) == "Rome"


def test_a_tokenizer_without_a_template_is_no_chat_model() -> None:
    assert not has_template(byte_tokenizer())
    with pytest.raises(ValueError, match="no chat template"):
        chat_prompt(byte_tokenizer(), "Who?")


@pytest.mark.parametrize(("setting", "expected"), [("auto", True), ("none", False), (None, True)])
def test_the_manifest_says_whether_the_template_is_used(tmp_path: Path, setting: str | None, expected: bool) -> None:
    folder = small.inputs(tmp_path)["model"]
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    manifest = read_json(folder / "manifest.json")
    write_json(folder / "manifest.json", manifest | ({} if setting is None else {"template": setting}))
    assert has_template(load_tokenizer(folder)) == expected
