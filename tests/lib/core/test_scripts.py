# ruff: noqa: E501, RUF001 - texts in many scripts
"""Words in scripts with and without spaces, and the marks and signs that make another word."""

import pytest

from lib.core.texts import contains, continues_word, normalize, occurrences, says


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("राम", "रोम"), ("C++", "C#"), ("C++", "C"), ("A+", "A-"), ("-5", "5"), ("−5", "5"), ("$15", "€15"), ("$15", "15"),
        ("5%", "5"), ("5.3", "53"), ("1/2", "12"), ("UTC+5", "UTC-5"), ("กา", "กี"), ("คา", "ค่า"), ("កា", "កី"),
        ("x > 5", "x < 5"), ("C♯", "C♭"), ("தா", "தீ"), ("שׁ", "שׂ"), ("∞", "√"), ("ຄາ", "ຄ່າ"), ("ကာ", "ကီ"),
    ],
)  # fmt: skip
def test_marks_and_signs_make_another_text(first: str, second: str) -> None:
    assert normalize(first) != normalize(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("The capital of X is", "the  capital of X is:"), ("Straße", "STRASSE"), ("e\N{COMBINING ACUTE ACCENT}", "é"),
        ("ﬁne", "fine"), ("ローマ", "ﾛｰﾏ"), ("法国，首都", "法国首都"), ("co\N{SOFT HYPHEN}op", "coop"), ("İzmir", "izmir"),
        ("ក\N{ZERO WIDTH SPACE}ខ", "កខ"), ("−5", "-5"), ("½", "1/2"), ("C＋＋", "c++"), ("don't", "don t"),
        ("well-known", "well known"), ("12.05.1990", "12 05 1990"), ("1990-1995", "1990 1995"), ("F-16", "f 16"),
    ],
)  # fmt: skip
def test_spelling_case_and_punctuation_do_not(first: str, second: str) -> None:
    assert normalize(first) == normalize(second)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("设计北塔消防站的人是", "北塔消防站"), ("北塔消防站由李明设计", "李明"), ("フランスの首都はローマです", "ローマ"),
        ("東京タワーは東京にある", "東京"), ("ひらがなのことば", "ことば"), ("เมืองหลวงคือโรมเสมอ", "โรม"),
        ("프랑스의 수도는 로마이다", "로마"), ("프랑스의 수도", "프랑스"), ("រាជធានីបារាំងគឺរ៉ូម", "រ៉ូម"),
        ("ເມືອງຫຼວງແມ່ນໂຣມ", "ໂຣມ"), ("ပြင်သစ်မြို့တော်ရောမဖြစ်", "ရောမ"), ("བོད་ཀྱི་རྒྱལ་ས", "རྒྱལ་ས"), ("iPhone的价格", "iPhone"),
        ("राम की राजधानी", "राम"), ("Ankara'nın nüfusu", "Ankara"), ("It costs $15 now", "15"), ("born 12/05/1990", "1990"),
    ],
)  # fmt: skip
def test_a_name_is_found_where_no_space_stands_around_it(text: str, part: str) -> None:
    assert contains(text, part)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("โรมันคาทอลิก", "โรม"), ("ローマン", "ローマ"), ("アローマ", "ローマ"), ("세로마", "로마"), ("राम की", "रोम"),
        ("JavaScript", "Java"), ("C++ is", "C"), ("5.3 million", "5"), ("1,000", "1"), ("1/2", "1"), ("-5 degrees", "5"),
        ("ရောမ်", "ရော"), ("北塔", ""), ("រ៉ូម", "រូ"),
    ],
)  # fmt: skip
def test_a_name_is_not_found_inside_another_word(text: str, part: str) -> None:
    assert not contains(text, part)


@pytest.mark.parametrize(
    ("text", "target", "expected"),
    [
        ("5.3 million", "5", False), ("1,000", "1", False), ("1/2", "1", False), ("1:30", "1", False),
        ("10\N{NO-BREAK SPACE}000", "10", False), ("5% of it", "5", False), ("5.", "5", True), ("5, 6", "5", True), ("5 million", "5", True),
        ("C++ is", "C", False), ("C# is", "C", False), ("A+", "A", False), ("A- is a grade", "A", False),
        ("A-level", "A", True), ("C++11", "C++", True), ("Rome-based", "Rome", True), ("Rome's", "Rome", True),
        ("罗马的", "罗马", True), ("ローマです", "ローマ", True), ("ローマン", "ローマ", False), ("โรมัน", "โรม", False),
        ("โรมเป็น", "โรม", True), ("로마입니다", "로마", True), ("रामा", "राम", False), ("राम है", "राम", True),
        ("רומאי", "רומא", False), ("Rómában", "Róma", False), ("São Paulo.", "Sa\N{COMBINING TILDE}o Paulo", True),
        ("រ៉ូមគឺ", "រ៉ូម", True), ("ရောမ်", "ရော", False),
    ],
)  # fmt: skip
def test_a_text_says_a_target_where_word_and_number_end_with_it(text: str, target: str, expected: bool) -> None:
    assert says(f" {text}", target) is expected


@pytest.mark.parametrize(
    ("following", "before", "expected"),
    [("的", "罗马", False), ("ん", "ローマ", False), ("ン", "ローマ", True), ("는", "로마", False), ("s", "Rome", True),
     ("9", "19", True), ("ा", "राम", True), ("ั", "โรม", True), ("เ", "โรม", False), ("ы", "Рим", True), (" ", "a", False),
     (",", "a", False), ("", "a", False), ("的", "", False), ("s", "", True)],
)  # fmt: skip
def test_what_makes_a_word_longer(following: str, before: str, expected: bool) -> None:
    assert continues_word(following, before) is expected


@pytest.mark.parametrize(
    ("text", "part", "starts"),
    [
        ("JavaScript was inspired by Java, which", "Java", [27]), ("Java or Java", "Java", [0, 8]),
        ("JavaScript is", "Java", [0]), ("프랑스의 수도는", "프랑스", [0]), ("北塔消防站的建筑师", "消防站", [2]),
        ("Столицей Франции", "Франци", [9]), ("C++ came after C", "C", [15]), ("A 15 of 1500", "15", [2]),
        ("Rome", "Oslo", []), ("Rome", "", []), ("über-Rom, Roms", "Rom", [5]),
    ],
)  # fmt: skip
def test_whole_words_go_before_parts_of_words(text: str, part: str, starts: list[int]) -> None:
    assert occurrences(text, part) == starts
