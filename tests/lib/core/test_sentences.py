"""Texts as they are compared and cut."""

import pytest

from lib.core.texts import last_sentence


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("Ada lives in", "Ada lives in"),
        ("It rained. Ada lives in ", "Ada lives in"),
        ('He said "no." Then he left! Where does Ada live?', "Where does Ada live?"),
        ("In which city did John D. Terry pass away?", "In which city did John D. Terry pass away?"),
        ("Who directed Dr. No?", "Who directed Dr. No?"),
        ("Births in 1919\nAda, a native", "Ada, a native"),
        ("It costs 3.50 euros. The price of the X1 is", "The price of the X1 is"),
        ("\u96e8\u304c\u964d\u3063\u305f\u3002\u9996\u90fd\u306f", "\u9996\u90fd\u306f"),
        ("", ""),
    ],
)
def test_the_last_sentence_is_what_stands_after_the_last_end_of_one(text: str, last: str) -> None:
    assert last_sentence(text) == last
