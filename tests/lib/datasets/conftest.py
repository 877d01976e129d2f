"""Parameters of a small run, for the dataset readers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib.core.params import Facts, Own


@pytest.fixture
def facts() -> Facts:
    return Facts(
        split="test",
        draw="first",
        limit=None,
        pool_limit=None,
        extras=[],
        text_limit=None,
        folder="examples",
        max_reject_share=0.05,
        seed=0,
    )


@pytest.fixture
def own() -> Own:
    return Own(path="unused.csv", pool="none")


@pytest.fixture
def as_json(tmp_path: Path) -> Callable[..., Path]:
    """Writes values to a JSON file of this name."""

    def write(values: Any, name: str = "facts.json") -> Path:
        path = tmp_path / name
        path.write_text(json.dumps(values), encoding="utf-8")
        return path

    return write
