"""Dataset presets of tests."""

from typing import Any

from lib.core.params import Dataset


def dataset_preset(loader: str, metric: str, **changes: Any) -> Dataset:
    """A preset without files of its own, that leaves nothing out and limits nothing, but for `changes`."""
    values: dict[str, Any] = {
        "known": "none", "limit": None, "neighbors": "random", "target": None, "neighborhood": None, "files": {},
        "extras": {},
    }  # fmt: skip
    return Dataset.model_validate({"loader": loader, "metric": metric, **values, **changes})
