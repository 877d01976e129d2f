"""Tokens that go on with a word."""

from lib.models.tokens import word_parts
from tests.helpers.models import byte_tokenizer


def test_word_parts_are_the_tokens_that_go_on_with_a_word() -> None:
    tokenizer = byte_tokenizer()
    flags = word_parts(tokenizer, len(tokenizer) + 9)
    assert len(flags) == len(tokenizer) + 9
    for token in range(len(tokenizer)):
        letter = tokenizer.decode([token])
        assert bool(flags[token]) == (len(letter) == 1 and letter.isascii() and letter.isalnum()), letter
    assert not flags[len(tokenizer) :].any()
