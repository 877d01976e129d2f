"""Fixtures of the whole suite."""

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

from tests.helpers.stages import change_params

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded world and the tiny model, whatever params.yaml names."""
    change_params(monkeypatch)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with records of the published datasets; a test that needs it is skipped where it is absent."""
    folder = Path(os.environ.get("ERRATA_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real records at {folder} (set ERRATA_DATA to a folder that has them)")
    return folder


def reference_folder() -> Path:
    """The folder with all reference values, which need not be there: what tests compare with is in tests/golden."""
    return Path(os.environ.get("ERRATA_GOLDEN") or ROOT.parent / "shared" / "golden")


settings.register_profile("errata", deadline=None)  # a busy machine is not a failure
settings.load_profile("errata")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes come first, so that no process is left alone with one at the end.

    Whole pipelines and pretrained models take minutes a test, what is marked slow seconds.
    """
    minutes = Counter(item.path for item in items if {"dag", "wheel"} & {mark.name for mark in item.iter_markers()})
    seconds = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: (-minutes[item.path], -seconds[item.path]))
