# ruff: noqa: RUF001 - texts in many scripts
"""Names with endings."""

import pytest

from lib.core.inflection import mentions


@pytest.mark.parametrize(
    ("text", "name", "beside"),
    [
        ("Главный город во Франции", "Франция", ""), ("В Москве", "Москва", ""), ("в Риме", "Рим", ""),
        ("Roomassa sijaitsee jokin", "Rooma", "Rooman pääkaupunki on"), ("W Krakowie leży", "Kraków", ""),
        ("Frankreichs Hauptstadt heißt", "Frankreich", ""), ("Budapesten van", "Budapest", "Budapest városa"),
        ("Ankara'nın nüfusu", "Ankara", ""), ("Ο δήμος Αθηναίων", "Αθηναίοι", ""), ("Hlavní město Prahy", "Praha", ""),
        ("Helsingissä sijaitsee", "Helsinki", ""), ("Пушкину Александру принадлежит", "Пушкин Александр", ""),
    ],
)  # fmt: skip
def test_a_name_with_another_ending_is_the_name(text: str, name: str, beside: str) -> None:
    assert mentions(text, name, beside)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("The capital of Nigeria is", "Niger"), ("Romeo and Juliet were written by", "Rome"), ("Nigeria", "Niger"),
        ("JavaScript", "Java"), ("Столица Австралии", "Австрия"), ("Iranin pääkaupunki", "Irak"), ("राम की", "रोम"),
        ("The Austrian capital is", "Austria"), ("", "Rome"), ("Рим", ""),
    ],
)  # fmt: skip
def test_another_name_is_not_and_english_has_no_endings(text: str, name: str) -> None:
    assert not mentions(text, name)
