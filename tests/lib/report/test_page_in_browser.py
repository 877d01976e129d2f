"""The pages as a browser shows them: axe-core finds nothing, at 1280 and 390 pixels, light and dark; keys reach all."""

from pathlib import Path
from typing import Any

import pytest

from lib.core.records import Reject
from lib.metrics.comparison import Comparison
from lib.report import board_tables, leaderboard
from lib.report.page import page
from lib.report.pages import render
from tests.helpers import browser
from tests.helpers.imports import ROOT
from tests.helpers.pages import COMPARED, example, results, training

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not browser.available(), reason="needs requirements-dev.txt and Chromium (ERRATA_CHROMIUM)"),
]
EXAMPLES = (
    *(example(prompt=f"Town {number} is in", target_new="Rome") for number in range(9)),
    *(example(prompt=f"River {number} ends in", took=False, why_not="repeats itself") for number in range(3)),
)
BOARD = ROOT / "docs/leaderboard.csv"
RUNS = Comparison(a="first", b="second", n=4, rows=[COMPARED], other_prompts={"locality": 2})


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The report with all that it may have, and a comparison of two runs."""
    folder = tmp_path_factory.mktemp("pages")
    rejects = [Reject(file="f.csv", line=3, field="prompt", reason="wanted text; found 3")]
    content = {
        "report": page(results(examples=EXAMPLES, training=training(9), rejects=rejects)),
        "comparison": render("comparison.html.j2", runs=RUNS),
        "leaderboard": board_tables.page(leaderboard.read(BOARD)),
    }
    for name, text in content.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in content}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [browser.DESKTOP, browser.PHONE])
@pytest.mark.parametrize("name", ["report", "comparison", "leaderboard"])
def test_nothing_keeps_people_out(pages: dict[str, Path], name: str, width: int, scheme: str) -> None:
    with browser.opened(pages[name], width, scheme) as shown_page:
        assert browser.violations(shown_page) == []


@pytest.mark.parametrize("name", ["report", "comparison", "leaderboard"])
def test_a_phone_scrolls_tables_and_never_the_page(pages: dict[str, Path], name: str) -> None:
    with browser.opened(pages[name], browser.PHONE) as shown_page:
        assert shown_page.evaluate("document.documentElement.scrollWidth") == browser.PHONE
        wide = shown_page.locator(".scroll:visible").evaluate_all(
            "regions => regions.filter((region) => region.scrollWidth > region.clientWidth)"
            ".map((region) => [region.tabIndex, region.getAttribute('role'), region.ariaLabel !== ''])"
        )
        assert wide
        assert all(region == [0, "region", True] for region in wide)


def test_the_tab_key_reaches_links_folded_parts_and_what_scrolls_in_the_order_of_the_page(
    pages: dict[str, Path],
) -> None:
    with browser.opened(pages["report"], browser.PHONE) as shown_page:
        tops, names = [], []
        for _ in range(12):
            shown_page.keyboard.press("Tab")
            top, name = shown_page.evaluate(
                "[document.activeElement.getBoundingClientRect().top + scrollY, document.activeElement.textContent]"
            )
            tops.append(top)
            names.append(name)
        assert names[:2] == ["To the content", "What it writes"]
        assert tops[1:] == sorted(tops[1:])
        assert any(name.startswith("All 12") for name in names)


def searched(shown_page: Any) -> tuple[int, str]:
    """How many edits are seen of all, and what the page says of it."""
    return shown_page.locator("#all-edits > li:visible").count(), shown_page.locator("output").inner_text()


def test_edits_are_searched_by_word_and_by_state(pages: dict[str, Path]) -> None:
    with browser.opened(pages["report"]) as shown_page:
        shown_page.get_by_text("All 12", exact=False).first.click()
        assert searched(shown_page) == (12, "12 of 12 edits")
        shown_page.get_by_label("Search").fill("river ENDS")
        assert searched(shown_page) == (3, "3 of 12 edits")
        shown_page.get_by_label("took", exact=True).check()
        assert searched(shown_page) == (0, "0 of 12 edits")
        shown_page.get_by_label("Search").fill("")
        assert searched(shown_page) == (9, "9 of 12 edits")


def test_without_scripts_every_edit_is_there_and_no_search_is_offered(pages: dict[str, Path]) -> None:
    with browser.opened(pages["report"], scripts=False) as shown_page:
        shown_page.get_by_text("All 12", exact=False).first.click()
        assert shown_page.locator("#all-edits > li:visible").count() == 12
        assert shown_page.get_by_label("Search").count() == 1
        assert not shown_page.get_by_label("Search").is_visible()


def column(shown_page: Any, title: str) -> list[str]:
    """The texts of this column of the leaderboard's first table, from the top."""
    table = shown_page.locator("table.board").first
    titles = table.locator("thead th").all_inner_texts()
    (index,) = (
        number for number, text in enumerate(titles) if text.strip(" \N{UPWARDS ARROW}\N{DOWNWARDS ARROW}") == title
    )
    return [str(text) for text in table.locator(f"tbody tr > :nth-child({index + 1})").all_inner_texts()]


def measured(shown_page: Any, title: str) -> list[float]:
    """The column's values, from the top; what was not measured stands below all of them."""
    texts = column(shown_page, title)
    values = [float(text.split()[0]) for text in texts if text != "\N{EN DASH}"]
    assert set(texts[len(values) :]) <= {"\N{EN DASH}"}
    return values


def test_headings_of_the_leaderboard_sort_it_by_click_and_by_key_and_what_is_absent_stays_at_the_end(
    pages: dict[str, Path],
) -> None:
    with browser.opened(pages["leaderboard"]) as shown_page:
        heading = shown_page.get_by_role("button", name="KL (nats)").first
        for order in ("ascending", "descending"):
            heading.click()
            assert shown_page.locator("th[aria-sort]").get_attribute("aria-sort") == order
            values = measured(shown_page, "KL (nats)")
            assert values == sorted(values, reverse=order == "descending")
        assert shown_page.get_by_role("status").inner_text() == (
            "smollm2-135m, almanac, mass, 30 edits: sorted by KL (nats), descending."
        )
        shown_page.get_by_role("button", name="unchanged").first.focus()
        shown_page.keyboard.press("Enter")
        values = measured(shown_page, "unchanged")
        assert values == sorted(values, reverse=True)
        shown_page.keyboard.press("Space")
        assert measured(shown_page, "unchanged") == sorted(values)


def test_without_scripts_the_leaderboard_is_complete(pages: dict[str, Path]) -> None:
    with browser.opened(pages["leaderboard"], scripts=False) as shown_page:
        assert shown_page.locator("table.board tbody tr").count() == len(leaderboard.read(BOARD))
        assert shown_page.get_by_role("button").count() == 0
