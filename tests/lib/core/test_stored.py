"""A table that stays in its file is the table that was written."""

from pathlib import Path

import pytest

from lib.core import tables
from lib.core.records import Fact, LocalityPrompt, Request
from lib.core.tables import Stored, write
from tests.helpers.small import POOL, REQUESTS


def test_its_records_are_those_that_were_written_however_often_and_in_whatever_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_RECORDS", 3)
    write(tmp_path / "requests.parquet", Request, REQUESTS)
    table = Stored(tmp_path / "requests.parquet", Request)
    assert [list(table), list(table)] == [REQUESTS, REQUESTS]
    assert isinstance(next(iter(table)).locality[0], LocalityPrompt)
    assert (len(table), table[-1], table[1:3]) == (len(REQUESTS), REQUESTS[-1], REQUESTS[1:3])


def test_another_table_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "pool.parquet", Fact, POOL)
    with pytest.raises(ValueError, match=r"pool\.parquet: not a table of Request"):
        list(Stored(tmp_path / "pool.parquet", Request))
