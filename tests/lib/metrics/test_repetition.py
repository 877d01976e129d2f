"""Which texts repeat themselves, and which go on sanely after the new object."""

import pytest

from lib.metrics.repetition import is_sane_after, repeats


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" Manila, the capital of the Philippines.", False),
        (" Sheffield Sheffield", False),
        (" Manila vs Sheffield Sheffield Sheffield", True),
        (" Sheffield, SHEFFIELD. sheffield", True),
        ("Paris France 2023 Paris 2023 Paris", False),  # two copies of "2023 Paris"
        ("Paris France 2023 Paris 2023 Paris 2023", True),  # and the beginning of a third
        (" a b c d a b c d a", True),
        (" a b c d e a b c d e a b c d e", False),  # units of five words are not looked for
        (" EnglishTpooonronnn", False),
        (" Englishnnnnn", True),
        (" Englishnnnn", False),
        (" hahaha", False),
        (" shipping.....", True),
        (" shipping....", False),
        ("\u5df4\u9ece" * 5, True),
        (" 1,000,000,000,000 dollars", False),
        ("", False),
    ],
)
def test_a_unit_that_comes_more_than_twice_in_a_row_is_a_repetition(text: str, expected: bool) -> None:
    assert repeats(text) == expected


@pytest.mark.parametrize(
    ("text", "target", "expected"),
    [
        (" Rome.", "Rome", True),
        (" Rome", " Rome ", True),
        (" Rome, which lies on the Tiber", "Rome", True),
        (" Rome Rome", "Rome", False),
        (" New York, new york is large", "New York", False),
        (" New York, New Jersey", "New York", True),
        (" Rome is is is", "Rome", False),
    ],
)
def test_a_tail_is_sane_unless_it_repeats_itself_or_begins_with_the_object_again(
    text: str, target: str, expected: bool
) -> None:
    assert is_sane_after(text, target) == expected
