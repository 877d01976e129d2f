"""Changes of YAML files: applied as DVC applies them, and found between two files."""

import json
from typing import Any

import pytest

from lib.core.errors import InputError
from lib.experiments.overrides import by_file, overridden, reset, values_of

TEXT = json.dumps(
    {
        "rate": 1e-05,
        "count": 1,
        "name": "plain",
        "texts": ["null", "1.5", 'a"b', "a\\", 'a\\"b', "x: y, z", "#1", "it's"],
        "nothing": None,
        "nested": {"on": True, "steps": [1, 2.0], "deep": {"path": "/a/b"}},
    }
)
"""JSON is YAML."""


def test_overrides_are_applied_in_their_order_and_numbers_stay_numbers() -> None:
    values = overridden(TEXT, ["count=2", "count=3", "rate=5e-5", "nested.steps=[4]"], "params.yaml")
    assert (values["count"], values["rate"], values["nested"]["steps"]) == (3, 5e-05, [4])


@pytest.mark.parametrize("change", ["nope=1", "nested.nope=1", "count", "count=1,2"])
def test_a_change_of_no_key_and_a_sweep_are_refused(change: str) -> None:
    with pytest.raises(InputError, match=r"params\.yaml: wanted -S key=value.*found "):
        overridden(TEXT, [change], "params.yaml")


@pytest.mark.parametrize(
    "edit",
    [
        {"count": 7, "name": "1.5"},
        {"count": 1.0},
        {"added": {"a": 1}, "name": "it's \\"},
        {"nested": {"on": "true", "steps": [], "deep": {"path": "/c", "more": None}}},
        {"nested": {}},
        {"nested": None, "texts": [], "nothing": 0},
        {"nothing": {"a": [1]}},
    ],
)
def test_what_differs_is_set_back_exactly(edit: dict[str, Any]) -> None:
    committed = values_of(TEXT)
    workspace = committed | edit
    del workspace["rate"]
    changes = reset(workspace, committed, "params.yaml")
    assert overridden(json.dumps(workspace), changes, "params.yaml") == committed


def test_nothing_is_set_back_where_nothing_differs() -> None:
    assert reset(values_of(TEXT), values_of(TEXT), "params.yaml") == []


def test_a_preset_is_named_and_a_key_that_no_override_can_name_is_refused() -> None:
    assert reset({"a": 1}, {"a": 2}, "configs/x.yaml") == ["configs/x.yaml:++a=2"]
    assert by_file(["configs/x.yaml:++a=2", "b=1"]) == {"configs/x.yaml": ["++a=2"], "params.yaml": ["b=1"]}
    with pytest.raises(InputError, match=r"configs/x\.yaml: models\.gpt-2\.5 differs from HEAD, and -S cannot name"):
        reset({"models": {"gpt-2.5": 1}}, {"models": {"gpt-2.5": 2}}, "configs/x.yaml")
