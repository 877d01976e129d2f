"""Plain text from lines and from Parquet articles, drawn at random, some held out; references from snippets."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lib.core.params import Facts
from lib.core.records import Reject
from lib.data.plain_text import plain_text
from lib.data.snippets import NO_SNIPPETS, snippets

FACTS = Facts(
    split="test",
    draw="first",
    limit=None,
    pool_limit=None,
    folder="",
    extras=[],
    text_limit=None,
    max_reject_share=0,
    seed=0,
)


@pytest.fixture
def articles(tmp_path: Path) -> Path:
    columns = {"title": [f"Title {row}!" for row in range(3000)], "text": [f"Text {row}" for row in range(3000)]}
    pq.write_table(pa.table(columns), tmp_path / "articles.parquet", row_group_size=700)
    return tmp_path / "articles.parquet"


def test_a_limit_draws_articles_from_everywhere_and_leaves_out_those_that_are_measured_with(articles: Path) -> None:
    facts = FACTS.model_copy(update={"text_limit": 200})
    without = {f"title {row}" for row in range(0, 3000, 2)}
    pieces = plain_text({"text": articles}, facts, without)
    rows = [int(piece.text.split()[1]) for piece in pieces]
    assert rows == sorted(set(rows))
    assert (len(rows), {row % 2 for row in rows}) == (200, {1})
    assert rows[0] < 300 < 2700 < rows[-1]
    assert sum(piece.split == "heldout" for piece in pieces) == 20
    assert plain_text({"text": articles}, facts, without) == pieces
    assert plain_text({"text": articles}, facts.model_copy(update={"seed": 1}), without) != pieces


def test_a_limit_draws_lines_of_a_text_file(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("\n".join(f"line {row}\n" for row in range(100)))
    pieces = plain_text({"text": tmp_path / "lines.txt"}, FACTS.model_copy(update={"text_limit": 10}))
    assert len({piece.text for piece in pieces}) == 10
    assert len(plain_text({"text": tmp_path / "lines.txt"}, FACTS)) == 100


def test_a_parquet_file_without_text_is_an_error_that_names_its_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "text.parquet")
    with pytest.raises(ValueError, match=r"text\.parquet: wanted a column text .*found body"):
        plain_text({"text": tmp_path / "text.parquet"}, FACTS)


def test_snippets_are_the_references_of_their_relation_and_object(tmp_path: Path) -> None:
    samples = [{"name": "Some One", "text": "One is here."}, {"name": None, "text": "Two is here."}]
    entries = [
        {"relation_id": "P1", "target_id": "Q1", "samples": samples},
        {"relation_id": "P1", "target_id": "Q1", "samples": [{"name": "Three", "text": "Three."}]},
        {"relation_id": "P2", "samples": samples},
    ]
    (tmp_path / "snippets.json").write_text(json.dumps(entries))
    references = snippets({"snippets": tmp_path / "snippets.json"})
    assert references.of("P1", "Q1") == ("One is here.", "Two is here.", "Three.")
    assert references.of("P1", None) == references.of("P1", "Q2") == ()
    assert references.titles == {"some one", "three"}
    assert references.rejects == (Reject(file="snippets.json", line=3, field="target_id", reason="absent"),)
    assert snippets({}) is NO_SNIPPETS
