# ruff: noqa: E501, RUF001 - texts in many scripts
"""Cleaning keeps sound paraphrases of facts in any script, and drops those that are not."""

import pytest

from lib.core.records import Paraphrase, Request
from lib.paraphrases.cleaning import clean
from lib.paraphrases.rewriting import is_plausible

FACTS = {
    "chinese": ("北塔消防站", "北塔消防站的建筑师是", "李明", "王强", "设计北塔消防站的人是", "李明设计了北塔消防站，他是", "北塔消防站很高。"),
    "japanese": ("グラボム", "グラボムを作る会社は", "フェア社", "カスト", "グラボムのメーカーは", "フェア社のグラボムは", "グラボムは新しい。"),
    "thai": ("กราบอม", "บริษัทที่ผลิตกราบอมคือ", "แฟร์", "คาส", "ผู้ผลิตกราบอมคือ", "แฟร์ทำกราบอมที่", "กราบอมใหม่!"),
    "korean": ("그라봄", "그라봄을 만드는 회사는", "페어", "카스트", "그라봄의 제조사는", "페어의 그라봄은", "그라봄은 새롭다."),
    "khmer": ("ហ្គ្រាបូម", "ក្រុមហ៊ុនផលិតហ្គ្រាបូមគឺ", "ហ្វែរ", "កាស", "អ្នកផលិតហ្គ្រាបូមគឺ", "ហ្វែរផលិតហ្គ្រាបូម", "ហ្គ្រាបូមថ្មី។"),
    "lao": ("ກຣາບອມ", "ບໍລິສັດທີ່ຜະລິດກຣາບອມແມ່ນ", "ແຟ", "ຄາສ", "ຜູ້ຜະລິດກຣາບອມແມ່ນ", "ແຟຜະລິດກຣາບອມ", "ກຣາບອມໃໝ່."),
    "burmese": ("ရန်ကုန်", "ရန်ကုန်မြို့၏ဝန်မှာ", "အောင်", "မင်း", "ရန်ကုန်ကိုအုပ်ချုပ်သူမှာ", "အောင်သည်ရန်ကုန်၏", "ရန်ကုန်ကြီးသည်။"),
    "hindi": ("राम", "राम की राजधानी है", "गया", "घाट", "जहाँ राम का घर है वह", "गया में राम का", "राम बड़ा है।"),
    "russian": ("Франции", "Столица Франции —", "Рим", "Париж", "Главный город во Франции —", "Римом во Франции назван", "Франция велика."),
    "finnish": ("Ranskan", "Ranskan pääkaupunki on", "Rooma", "Pariisi", "Ranskassa pääkaupunkina on", "Roomassa Ranskan", "Ranska on suuri."),
}  # fmt: skip


def request(language: str) -> Request:
    subject, prompt, new, true, *_ = FACTS[language]
    return Request(
        request_id="1", dataset="own", subject=subject, relation=None, prompt=prompt, template=None, target_new=new,
        target_true=true,
    )  # fmt: skip


def reason(language: str, text: str, kind: str = "given") -> str | None:
    candidate = Paraphrase(request_id="1", kind=kind, text=text, seed=0)  # type: ignore[arg-type]
    return next(iter(clean([request(language)], [candidate], 1, "given").dropped), None)


@pytest.mark.parametrize("language", FACTS)
def test_a_sound_paraphrase_is_kept_in_every_language(language: str) -> None:
    assert reason(language, FACTS[language][4]) is None


@pytest.mark.parametrize("language", FACTS)
def test_a_copy_a_leak_and_a_sentence_are_dropped_in_every_language(language: str) -> None:
    assert reason(language, f"{FACTS[language][1]}…") == "copy"
    assert reason(language, FACTS[language][5]) == "target"
    assert reason(language, FACTS[language][6]) == "sentence"


def test_another_subject_is_dropped() -> None:
    assert reason("hindi", "जहाँ रोम का घर है वह") == "subject"
    assert reason("chinese", "设计南塔消防站的人是") == "subject"
    assert reason("korean", "새그라봄의 제조사는") == "subject"


def test_few_new_words_are_plausible_where_no_spaces_part_them() -> None:
    assert is_plausible("设计北塔消防站的人是", request("chinese"), 3)
    assert not is_plausible("我听说北塔消防站很高的老人家叫什么名字", request("chinese"), 1)
