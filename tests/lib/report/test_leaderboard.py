"""The leaderboard: CSV, Markdown tables and page have the same numbers; those of docs/ are what the CSV gives."""

import csv
import io
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from apps.leaderboard import renew
from lib.core.errors import InputError
from lib.report import board_tables, leaderboard
from lib.report.board_overview import overviews, pair
from lib.report.board_tables import BEGIN, END, OVERVIEW
from lib.report.leaderboard import BoardFigure, Entry
from tests.helpers.imports import ROOT

DASH = "\N{EN DASH}"
BOARD = ROOT / "docs/leaderboard.csv"
ENTRY = Entry(
    model="tiny", dataset="world", protocol="mass", n=4, row="MEMIT", editor="memit", seeds=(0,), verdict="safe",
    figures={"exact_match": BoardFigure(value=75.0, spread=2.5), "kl": BoardFigure(value=0.125, spread=0.05)},
    seconds=8.0, memory_gib=None, commit="0123abc", command="python -m apps.table a.yaml --rows MEMIT", note="untuned",
)  # fmt: skip
MARKS = "\n".join([OVERVIEW[0], "old", OVERVIEW[1], BEGIN, "old", END, ""])
BETTER = replace(
    ENTRY, row='a, "b" | <c>', seeds=(0, 1), seconds=None, memory_gib=1.5,
    figures={"exact_match_paraphrases": BoardFigure(value=50.0, spread=None),
             "portability.alias": BoardFigure(value=20.0, spread=1.0)},
)  # fmt: skip


class _Cells(HTMLParser):
    """The texts of a page's tables, row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self._is_open = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._is_open = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._is_open = False

    def handle_data(self, data: str) -> None:
        if self._is_open:
            self.tables[-1][-1][-1] += data.strip()


def page_rows(text: str) -> list[dict[str, str]]:
    """The lines of the page's tables, without the overview's, by the titles of their columns."""
    parser = _Cells()
    parser.feed(text)
    tables = [table for table in parser.tables if "seeds" in table[0]]
    return [dict(zip(head, row, strict=True)) for head, *rows in tables for row in rows]


def markdown_rows(text: str) -> list[dict[str, str]]:
    """The lines of all tables of a Markdown text, without the overview's, by the titles of their columns."""
    rows: list[dict[str, str]] = []
    for block in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        head, _, *lines = ([cell.strip() for cell in line.strip("|").split(" | ")] for line in block.splitlines())
        rows += [dict(zip(head, line, strict=True)) for line in lines if "seeds" in head]
    return rows


def test_the_committed_page_and_tables_are_what_the_committed_csv_gives() -> None:
    entries, markdown = leaderboard.read(BOARD), BOARD.with_suffix(".md").read_text(encoding="utf-8")
    remedy = "renew them: python -m apps.leaderboard"
    assert leaderboard.written(entries) == BOARD.read_text(encoding="utf-8"), remedy
    assert board_tables.with_tables(markdown, entries, "") == markdown, remedy
    assert board_tables.page(entries) == BOARD.with_suffix(".html").read_text(encoding="utf-8"), remedy


def test_csv_tables_and_page_of_docs_have_the_same_numbers() -> None:
    def by_run(rows: Iterable[Mapping[str, str]], seconds: str) -> dict[tuple[str, ...], Mapping[str, str]]:
        """By row, commit, and seconds as a number: an editor has several datasets of one commit."""
        texts = ((row, row[seconds].replace(DASH, "").replace(",", "")) for row in rows)
        return {(row["row"], row["commit"], str(float(text)) if text else ""): row for row, text in texts}

    lines = by_run(csv.DictReader(io.StringIO(BOARD.read_text(encoding="utf-8"))), "seconds")
    tables = by_run(markdown_rows(BOARD.with_suffix(".md").read_text(encoding="utf-8")), "stage edit, s")
    page = by_run(page_rows(BOARD.with_suffix(".html").read_text(encoding="utf-8")), "stage edit, seconds")
    assert len(lines) == len(leaderboard.read(BOARD)) >= 13
    assert [*tables] == [*page]
    assert {*tables} == {*lines}
    for name, line in lines.items():
        value, spread = float(line["exact_match_paraphrases"]), float(line["exact_match_paraphrases_ci95"])
        assert tables[name]["exact match, paraphrases"] == page[name]["exact match, paraphrases"] == (
            f"{value:.1f} ± {spread:.1f}"
        )  # fmt: skip
        seconds = [tables[name]["stage edit, s"], page[name]["stage edit, seconds"].replace(DASH, ""), line["seconds"]]
        assert len({float(text.replace(",", "")) if text else None for text in seconds}) == 1
        assert (
            (tables[name].get("KL (nats)", "") == "")
            == (page[name].get("KL (nats)", DASH) == DASH)
            == (line["kl"] == "")
        )


def test_every_line_says_what_runs_it_again_and_of_which_commit_it_is() -> None:
    for entry in leaderboard.read(BOARD):
        assert entry.command.startswith(("python -m apps.table experiments/", "dvc repro", "dvc exp run "))
        assert re.fullmatch(r"[0-9a-f]{7}(, changed)?", entry.commit)


def test_what_is_written_is_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    assert leaderboard.read(path) == []
    path.write_text(leaderboard.written([ENTRY, BETTER]), encoding="utf-8")
    assert leaderboard.read(path) == [ENTRY, BETTER]
    assert "seconds_per_edit" in path.read_text()
    assert "repetition" not in path.read_text()


def test_a_row_that_is_run_again_stands_where_it_stood() -> None:
    newer = replace(ENTRY, verdict="harmed")
    assert leaderboard.merged([ENTRY, BETTER], [newer]) == [newer, BETTER]
    assert leaderboard.merged([ENTRY], [replace(ENTRY, n=5)]) == [ENTRY, replace(ENTRY, n=5)]


def test_a_table_has_a_group_a_name_its_own_columns_and_the_best_line_first() -> None:
    first, second = board_tables.tables([ENTRY, BETTER, replace(ENTRY, dataset="zsre")]).split("\n\n**")
    assert second.startswith("tiny, zsre, mass, 4 edits**")
    better, memit = markdown_rows(first.replace(r"\|", "/"))
    assert (better["seeds"], memit["row"]) == ("0 1", "MEMIT")
    assert (memit["exact match"], memit["s an edit"], memit["portability.alias"]) == ("75.0 ± 2.5", "2", "")
    assert (better["exact match, paraphrases"], better["portability.alias"]) == ("50.0", "20.0 ± 1.0")
    assert "portability" not in second


def test_a_wrecked_model_does_not_lead_the_table() -> None:
    verdicts = {"wrecked": ("took, harmed", 95.0), "absent": ("did not take", 99.0), "modest": ("safe", 40.0)}
    entries = [
        replace(ENTRY, row=row, verdict=verdict, figures={leaderboard.RANKED_BY: BoardFigure(value=value, spread=None)})
        for row, (verdict, value) in verdicts.items()
    ]
    (lines,) = leaderboard.groups(entries)
    assert [entry.row for entry in lines] == ["modest", "wrecked", "absent"]


def test_the_page_has_a_table_a_group_under_its_name_with_its_own_columns() -> None:
    text = board_tables.page([ENTRY, BETTER, replace(ENTRY, dataset="zsre")])
    assert re.findall("<h2.*?>(.*)</h2>", text) == [
        "tiny, all tables",
        "tiny, world, mass, 4 edits",
        "tiny, zsre, mass, 4 edits",
    ]
    first, _, second = page_rows(text)
    assert "portability.alias" in first
    assert "portability.alias" not in second


def test_the_page_escapes_names_and_marks_what_was_not_measured() -> None:
    text = board_tables.page([ENTRY, BETTER])
    assert "<c>" not in text
    better, memit = page_rows(text)
    assert (better["row"], better["memory, GiB"], memit["memory, GiB"]) == ('a, "b" | <c>', "1.5", DASH)
    assert '<th scope="col" class="number" data-first="ascending">KL (nats)</th>' in text
    assert 'data-first="descending">exact match</th>' in text


def test_page_and_tables_round_what_the_csv_has_not_what_it_was_given(tmp_path: Path) -> None:
    path, markdown = tmp_path / "board.csv", tmp_path / "board.md"
    markdown.write_text(MARKS)
    renew(path, [replace(ENTRY, memory_gib=1.10449999)])  # 1.1045 in the CSV
    written = {name: file.read_text() for name, file in (("md", markdown), ("html", path.with_suffix(".html")))}
    renew(path, leaderboard.read(path))
    assert written == {"md": markdown.read_text(), "html": path.with_suffix(".html").read_text()}


def test_a_file_is_renewed_with_its_page_and_the_tables_of_its_text(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    (tmp_path / "board.md").write_text(f"# Before\n{MARKS}after\n")
    renew(path, [ENTRY])
    text = (tmp_path / "board.md").read_text()
    assert text.startswith("# Before\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert markdown_rows(text)[0]["row"] == page_rows((tmp_path / "board.html").read_text())[0]["row"] == "MEMIT"
    (tmp_path / "board.md").write_text("no marks")
    with pytest.raises(ValueError, match=r"board\.md: wanted the lines"):
        renew(path, [ENTRY])


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("75.0", "much", r"board\.csv:2: wanted a number or nothing in exact_match; found 'much'"),
        (",4,MEMIT", ",four,MEMIT", r"board\.csv:2: wanted whole numbers in n and seeds; found 'four'"),
        (",verdict", ",word", r"board\.csv: wanted the columns model.*found 'verdict' missing"),
        ("tiny,", "", r"board\.csv:2: wanted as many cells"),
    ],
)
def test_a_damaged_csv_is_refused_by_file_line_and_column(
    tmp_path: Path, before: str, after: str, message: str
) -> None:
    path = tmp_path / "board.csv"
    path.write_text(leaderboard.written([ENTRY]).replace(before, after, 1))
    with pytest.raises(ValueError, match=message):
        leaderboard.read(path)


@pytest.mark.parametrize("number", ["nan", "inf", "-Infinity"])
def test_a_number_that_is_none_is_refused(number: str, tmp_path: Path) -> None:
    (tmp_path / "board.csv").write_text(leaderboard.written([ENTRY]).replace("75.0", number))
    with pytest.raises(InputError, match=rf"board\.csv:2: wanted a number or nothing in exact_match; found '{number}'"):
        leaderboard.read(tmp_path / "board.csv")


def test_a_pipe_in_place_of_the_csv_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "board.csv")
    with pytest.raises(InputError, match=r"board\.csv"):
        leaderboard.read(tmp_path / "board.csv")


def test_the_overview_has_every_row_in_every_table_and_what_is_safe_most_often_first() -> None:
    figures = {name: BoardFigure(value=value, spread=1.0) for name, value in (("exact_match_paraphrases", 49.6),
                                                                              ("unchanged", 90.2))}  # fmt: skip
    safe = replace(ENTRY, row="a | b", figures=figures)
    elsewhere = replace(ENTRY, dataset="zsre", row="c", verdict="took, harmed", figures={})
    entries = [elsewhere, replace(ENTRY, row="c", verdict="did not take"), safe, replace(safe, model="larger")]
    larger, tiny = sorted(overviews(entries), key=lambda overview: overview.model)
    assert (larger.model, len(larger.titles), len(larger.lines)) == ("larger", 1, 1)
    assert tiny.titles == ("world, 4 edits, mass", "zsre, 4 edits, mass")
    assert [(name, [cell and pair(cell) for cell in cells]) for name, cells in tiny.lines] == [
        ("a | b", ["50 / 90", None]),
        ("c", [f"{DASH} / {DASH}", f"{DASH} / {DASH}"]),
    ]
    text = board_tables.overview(entries[:3])
    assert "| a \\| b | **50 / 90** |  |" in text
    assert f"| c | ({DASH} / {DASH}) | {DASH} / {DASH} |" in text


def test_a_row_run_with_more_seeds_stands_in_the_overview() -> None:
    (overview,) = overviews([replace(ENTRY, seeds=(0, 1, 2)), ENTRY])
    ((_, (entry,)),) = overview.lines
    assert entry is not None
    assert entry.seeds == (0, 1, 2)
