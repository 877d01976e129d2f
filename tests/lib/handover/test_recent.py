"""The folders that a user's edits are in are known across commands; a damaged list says so."""

import json
from pathlib import Path
from typing import Any

import pytest

from lib.core import cache
from lib.core.errors import InputError
from lib.handover import recent


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path)
    return tmp_path / "edits.json"


@pytest.mark.parametrize("values", [{}, [], None, {"folders": None}, {"folders": [1]}, {"folders": ["a\0b"]}])
def test_a_damaged_list_of_folders_is_refused_by_its_name(values: Any, listed: Path) -> None:
    """The fault: a KeyError, a TypeError or a ValueError ended the command with a traceback."""
    listed.write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"edits\.json: wanted a list of folders; .* Remove it: your edits stay"):
        recent.latest()


def test_a_name_that_no_folder_can_have_is_told_as_one_of_the_list(listed: Path) -> None:
    """The fault: the refusal named 5,000 letters and not the file that they are in."""
    listed.write_text(json.dumps({"folders": ["x" * 5000]}))
    with pytest.raises(InputError, match=r"edits\.json: wanted folders; .*too long.*Remove it"):
        recent.latest()


def test_folders_that_are_gone_are_no_edits(listed: Path) -> None:
    listed.write_text(json.dumps({"folders": [str(listed.parent / "gone")]}))
    assert recent.latest() is None
