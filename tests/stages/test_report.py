"""Stage `report` names the commit of the checkout that it runs in, and of no other."""

import subprocess
from pathlib import Path

import pytest

from stages import report


def git(folder: Path, *arguments: str) -> None:
    settings = ("-c", "user.name=t", "-c", "user.email=a@b.c")
    subprocess.run(["git", *settings, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_commit_is_that_of_the_checkout_and_a_folder_inside_anothers_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    monkeypatch.setattr(report, "ROOT", tmp_path)
    assert len(report._git("rev-parse", "HEAD")) == 40
    (tmp_path / "workspace").mkdir()
    monkeypatch.setattr(report, "ROOT", tmp_path / "workspace")
    assert report._git("rev-parse", "HEAD") == ""
