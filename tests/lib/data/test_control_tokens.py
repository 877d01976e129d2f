# ruff: noqa: RUF001 - texts in many scripts
"""Control tokens in files: an unknown truth that is written as one is absent, and no target is one."""

import pytest

from lib.data.rows import InputRow, RowError
from lib.data.visible import is_control

CONTROL = (
    "<|endoftext|>", "</s>", "<|im_end|>", "<eos>", "<s>", "<pad>", "<|eot_id|>", "<end_of_turn>", "[PAD]", "[SEP]",
    "<｜end▁of▁sentence｜>", "<|end_of_text|>", " <|endoftext|> ", "</s></s>", "<unused7>", "<end_of_utterance>",
)  # fmt: skip


@pytest.mark.parametrize("text", CONTROL)
def test_a_truth_of_control_tokens_is_absent_and_noted(text: str) -> None:
    for value in (text, [text], [[text]]):
        row = InputRow(line=7, values={"ground_truth": value})
        assert row.optional_answer("ground_truth") is None
        assert row.notes.remarks() == ["ground_truth: a control token was read as absent (1 row, the first on line 7)"]


@pytest.mark.parametrize("text", CONTROL)
def test_a_target_of_control_tokens_is_a_reject(text: str) -> None:
    with pytest.raises(RowError, match="target_new: wanted words; found the control token"):
        InputRow(line=1, values={"target_new": text}).answer("target_new")


@pytest.mark.parametrize("text", ["Rome", "<b>", "a < b | c > d", "The tag </s> ends it", "[1]", "<html>", "", " "])
def test_words_are_none(text: str) -> None:
    assert not is_control(text)
