"""Control tokens in data are letters, a template's are meant, and no text ends with an end that the tokenizer adds."""

import json
from copy import deepcopy
from typing import Any

import pytest
from tokenizers.processors import TemplateProcessing

from lib.core.records import Request
from lib.methods.locating.places import place
from lib.models.control import Rendered
from lib.models.templates import chat_item, chat_prompt
from lib.models.tokens import encode, prompt_ids, text_ids
from tests.helpers.models import byte_tokenizer

END = 0
TEXT = "The <end> of <|im_end|>"


def special_tokenizer(processor: str | None = None) -> Any:
    """A byte tokenizer with two control tokens, one of them its end of text, which `processor` may put around texts."""
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_end|>"]})
    if processor is not None:
        pieces = [("<end>", END), ("<|im_end|>", tokenizer.convert_tokens_to_ids("<|im_end|>"))]
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=processor, special_tokens=pieces)
    return tokenizer


def test_control_tokens_in_prompts_and_targets_are_letters() -> None:
    tokenizer = special_tokenizer()
    specials = {END, tokenizer.convert_tokens_to_ids("<|im_end|>")}
    (item,) = encode(tokenizer, [TEXT], [["<end>", "a <|im_end|>"]])
    assert not specials & {*item.prompt, *(token for target in item.targets for token in target)}
    assert tokenizer.decode([*item.prompt, *item.targets[1]]) == f"{TEXT} a <|im_end|>"
    assert not specials & {*prompt_ids(tokenizer, TEXT)}
    assert prompt_ids(tokenizer, Rendered(TEXT)) == tokenizer(TEXT).input_ids
    assert specials <= {*prompt_ids(tokenizer, Rendered(TEXT))}


def test_a_templates_control_tokens_are_meant_and_the_questions_and_the_answers_are_not() -> None:
    tokenizer = special_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<|im_end|>\n{% endfor %}<assistant>"
    im_end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    ids = prompt_ids(tokenizer, chat_prompt(tokenizer, f"What is {TEXT}?"))
    assert (ids.count(im_end), ids.count(END)) == (1, 0)
    item = chat_item(tokenizer, f"What is {TEXT}?", ["<|im_end|>", "Rome"])
    assert (list(item.prompt).count(im_end), list(item.targets[0]).count(im_end)) == (1, 0)
    assert (
        prompt_ids(tokenizer, "" + chat_prompt(tokenizer, "Who?"))
        == tokenizer("<user>Who?<|im_end|>\n<assistant>").input_ids
    )


@pytest.mark.parametrize(("processor", "before"), [("$A <end>", []), ("<|im_end|> $A <end>", ["<|im_end|>"])])
def test_an_end_that_the_tokenizer_appends_is_behind_no_prompt_and_no_target(processor: str, before: list[str]) -> None:
    tokenizer, plain = special_tokenizer(processor), special_tokenizer()
    first = plain.convert_tokens_to_ids(before)
    assert tokenizer("Rome").input_ids[-1] == END
    assert text_ids(tokenizer, ["Rome", ""]) == [[*first, *plain("Rome").input_ids], first]
    assert prompt_ids(tokenizer, "It is") == [*first, *plain("It is").input_ids]
    (item,) = encode(tokenizer, ["It is"], [["Rome", "in Oslo"]])
    assert item.prompt == (*first, *plain("It is").input_ids)
    assert [plain.decode(list(target)) for target in item.targets] == [" Rome", " in Oslo"]


def test_a_rendered_text_is_stored_and_sent_as_any_text() -> None:
    text = Rendered("<end>")
    assert [type(part) for part in (deepcopy(text), text + "a", "a" + text)] == [Rendered] * 3
    assert ("" + text + "a", json.dumps(text)) == ("<end>a", '"<end>"')


def test_a_subjects_place_is_found_where_control_tokens_stand_before_it() -> None:
    tokenizer = special_tokenizer("$A <end>")
    request = Request(
        request_id="1", dataset="own", subject="Rome", relation=None, prompt="<end> of Rome is", template=None,
        target_new="near", target_true=None,
    )  # fmt: skip
    location = place(tokenizer, request, "subject_last")
    assert tokenizer.decode(location.ids[: location.position + 1]) == "<end> of Rome"
    assert place(tokenizer, request, "prompt_last").ids[-1] == tokenizer("s").input_ids[0]
