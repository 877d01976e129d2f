"""Stages run in the test's own process, with settings of params.yaml changed for the test alone."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lib.core import params

READ_PARAMS = params.read_params
SMALL = {"dataset": "world", "model": "tiny"}
"""What tests run with in place of the repository's real model: a fixture that needs no download."""


def small(values: Mapping[str, Any]) -> dict[str, Any]:
    """The content of params.yaml with SMALL in it, and the engine for texts that is always there and starts at once."""
    return {**values, **SMALL, "para": values["para"] | {"backend": "transformers"}}


def run_main(stage: ModuleType, paths: Mapping[str, Path]) -> Mapping[str, float] | None:
    """The stage's main function, with these paths as its options; what it returns."""
    options = stage.parser().parse_args([f"--{name}={path}" for name, path in paths.items()])
    usage: Mapping[str, float] | None = stage.main(options)
    return usage


def change_params(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Let params.yaml hold SMALL and these values in place of its own, of a section these keys'; earlier changes go."""

    def changed_params(path: Path = params.PARAMS_FILE) -> dict[str, Any]:
        values = READ_PARAMS(path)
        if path != params.PARAMS_FILE:
            return values
        values = small(values)
        for name, change in changes.items():
            values[name] = values[name] | change if isinstance(change, dict) else change
        return values

    monkeypatch.setattr(params, "read_params", changed_params)
