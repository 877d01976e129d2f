"""A tokenizer's chat template: texts in it, up to where the answer begins.

Stage `base` writes into the model's manifest whether the template is used (`template` of the model's preset); with
`none` load_tokenizer gives a tokenizer without one, so that whoever asks `has_template` is told the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lib.models.control import Rendered, apart
from lib.models.packing import Item
from lib.models.tokens import encode, text_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Turn = tuple[str, str]
"""What the user says, and the answer."""
_CONTENT = "\ue000"
"""Stands for a message's text while a template is taken apart: a character that no text has."""


def has_template(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether questions can be asked in a chat template."""
    return bool(getattr(tokenizer, "chat_template", None))


def chat_prompt(tokenizer: PreTrainedTokenizerBase, question: str, turns: Sequence[Turn] = ()) -> Rendered:
    """A user's question in the chat template after earlier turns, up to where the answer begins.

    A beginning-of-text token that the tokenizer puts before every text is left to it, so that the result is tokenized
    like any other text. An answer follows as lib.core.texts.join puts it there. Control tokens in the question are none
    (lib.models.control.apart). Raises ValueError where the tokenizer has no template.
    """
    messages = [
        {"role": role, "content": apart(tokenizer, text)}
        for turn in turns
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]
    messages.append({"role": "user", "content": apart(tokenizer, question)})
    if not has_template(tokenizer):
        raise ValueError("chat_prompt: the tokenizer has no chat template")
    text = str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    adds_bos = tokenizer.bos_token is not None and text_ids(tokenizer, [""])[0] == [tokenizer.bos_token_id]
    return Rendered(text.removeprefix(str(tokenizer.bos_token)) if adds_bos else text)


def chat_item(tokenizer: PreTrainedTokenizerBase, question: str, answers: Sequence[str]) -> Item:
    """A user's question and answers to it as token ids; an answer begins right after the item's prompt."""
    (item,) = encode(tokenizer, [chat_prompt(tokenizer, question)], [answers])
    return item


def around_question(tokenizer: PreTrainedTokenizerBase, turns: Sequence[Turn] = ()) -> tuple[Rendered, Rendered]:
    """What chat_prompt puts before and after a question without white space at its ends."""
    before, _, after = chat_prompt(tokenizer, _CONTENT, turns).partition(_CONTENT)
    return Rendered(before), Rendered(after)
