"""Drawings as elements and as files: escaped, the same each time, in colours that can be read in light and in dark."""

from xml.etree import ElementTree

import pytest

from lib.report.plots import svg
from tests.helpers.drawings import colors, contrast, parsed, texts

HOSTILE = '</svg><script>alert(1)</script>"onload="x'
GRAPHICS = ("before", "after", "second", "third", "edge")


def test_text_and_attributes_are_escaped() -> None:
    drawing = svg.drawing(10, 10, [svg.text(HOSTILE, 1, 1)], HOSTILE)
    assert (texts(drawing), parsed(drawing).attrib["aria-label"]) == ([HOSTILE], HOSTILE)
    assert "<script" not in drawing.svg


def test_numbers_have_at_most_two_decimals_and_no_negative_zero() -> None:
    assert svg.element("rect", x=-0.001, y=1 / 3, width=20.0) == '<rect x="0" y="0.33" width="20"/>'


def test_a_file_has_its_colors_in_light_and_dark_and_neither_date_nor_maker() -> None:
    drawing = svg.drawing(10, 20, [svg.rect(0, 0, 5, 5, "after")], "five")
    tree = ElementTree.fromstring(drawing.as_file())
    assert tree.attrib["viewBox"] == "-10 -10 30 40"
    (style,) = tree.iter("{http://www.w3.org/2000/svg}style")
    assert "prefers-color-scheme: dark" in str(style.text)
    assert drawing.as_file() == drawing.as_file()
    assert "metadata" not in drawing.as_file()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_a_contrast_of_four_and_a_half_and_graphics_of_three(scheme: str) -> None:
    values = colors()[scheme]
    grounds = [values["page"], values["card"]]
    pairs = [(name, ground, 4.5) for name in ("ink", "soft", "accent", "good", "bad") for ground in grounds]
    pairs += [("good", values["good-soft"], 4.5), ("bad", values["bad-soft"], 4.5)]
    pairs += [(name, ground, 3.0) for name in GRAPHICS for ground in grounds]
    too_faint = {
        f"{name} on {ground}": round(ratio, 2)
        for name, ground, least in pairs if (ratio := contrast(values[name], ground)) < least
    }  # fmt: skip
    assert too_faint == {}


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == 21
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48
