# ruff: noqa: E501, RUF001 - texts in many scripts
"""What stands between a prompt and its target."""

import pytest

from lib.core.joins import Separator, join
from lib.data import almanac, world


@pytest.mark.parametrize(
    "text",
    [
        "The price is $~15", "It costs €~15", "US$~5", "costs 15 €_today", "法国的首都是~罗马", "フランスの首都は~ローマ",
        "เมืองหลวงคือ~โรม", "រាជធានីគឺ~រ៉ូម", "ເມືອງຫຼວງແມ່ນ~ໂຣມ", "မြို့တော်မှာ~ရောမ", "프랑스의 수도는_로마", "价格是~15",
        "我喜欢Apple~公司", "答案：~罗马", "他说“~罗马", "The Chinese name of Rome is_罗马", "He said \"~yes", "the \"best\"_one",
        "He said “~yes", "the “best”_one", "„Rom“_ist", "«~Rome", "(~see", "[~x", "anti-~war", "Paris -_Rome", "km/~h",
        "a / _b".replace(" _", "_"), "https://~x", "It is -~5", "It is ±~5", "Room #~12", "user@~host", "2019–~20",
        "E=~mc", "x =_5", "50~%", "50~°C", "Rome~, Italy", "Rome~'s wall", "Oslo~-based", "is_-5", "is_.NET", "is_/usr",
        "¿~Dónde", "¡~Hola", "C++_is", "the dogs'_bowl", "so..._then", "Answer:_Rome", "राजधानी_रोम", "العاصمة هي_روما",
        "Столица —_Рим", "Who is it?_Rome", "the year_1990", "(yes)_no",
    ],
)  # fmt: skip
def test_a_space_stands_where_people_write_it(text: str) -> None:
    """~ stands for nothing, the last _ for a space."""
    mark = "~" if "~" in text else "_"
    prompt, _, target = text.rpartition(mark)
    assert join(prompt, target) == prompt + ("" if mark == "~" else " ") + target


@pytest.mark.parametrize(
    ("prompt", "target", "separator", "expected"),
    [
        ("report.", "pdf", "nothing", "report.pdf"), ("法国的首都是", "罗马", "space", "法国的首都是 罗马"),
        ("It is ", " Rome", None, "It is Rome"), ("It is\n", "Rome", "space", "It is\nRome"), ("It is", " Rome", None, "It is Rome"),
    ],
)  # fmt: skip
def test_the_file_may_say_what_stands_there(
    prompt: str, target: str, separator: Separator | None, expected: str
) -> None:
    assert join(prompt, target, separator) == expected


def test_english_facts_are_joined_by_a_space() -> None:
    requests = almanac.requests("test", 0)
    pairs = [(prompt, request.target_new) for request in requests for prompt in request.evaluation_prompts]
    pairs += [(fact.prompt, fact.target) for fact in (*almanac.pool(0, True), *world.pool(world.make_world(0)))]
    assert len(pairs) > 10_000
    assert [pair for pair in pairs if join(*pair) != " ".join(pair)] == []
