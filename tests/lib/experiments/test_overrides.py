"""Changes of YAML files: applied as DVC applies them, and found between two files."""

import json
from typing import Any

import pytest

from lib.core.errors import InputError
from lib.experiments.overrides import by_file, distinct, overridden, reset, values_of

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


@pytest.mark.parametrize(
    "path",
    ["../params.yaml", "/etc/x.yaml", "./params.yaml", "README.md", "dvc.yaml", "lib/x.py", "configs/../a.yaml", "",
     "configs", "configs/models/.yaml/../x.yaml"],
)  # fmt: skip
def test_a_file_that_holds_no_settings_is_refused(path: str) -> None:
    """The fault: -S ../params.yaml:seed=1 changed a file outside the folder that the pipeline runs in."""
    with pytest.raises(InputError, match=r"wanted key=value, of params\.yaml, or configs/.*found the file"):
        by_file([f"{path}:seed=1"])


@pytest.mark.parametrize(
    "settings",
    [
        ["train.lr=1", "train.lr=2"],
        ["train.lr=1", "seed=0", "params.yaml:train.lr=2"],
        ["train.lr=1", "~train.lr"],
        ["train.lr=1", "train={lr: 2}"],
        ["train=1", "train.lr=1"],
        ["configs/x.yaml:a=1", "configs/x.yaml:a=2"],
    ],
)
def test_one_key_with_two_values_on_a_command_line_is_refused(settings: list[str]) -> None:
    """The fault: the last one was taken, without a word."""
    with pytest.raises(InputError, match="wanted one value; found"):
        distinct(settings)


def test_different_keys_and_the_same_setting_twice_are_taken() -> None:
    settings = ["train.lr=1", "train.lrs=2", "configs/x.yaml:train.lr=3", "train.lr=1", "train.dpo=0"]
    assert distinct(settings) == settings


@pytest.mark.parametrize("change", ["name='${count}'", "name=${oc.env:HOME}", "name=a${nope}b"])
def test_a_reference_to_another_setting_is_refused(change: str) -> None:
    """The fault: a text with ${count} in it was replaced by that setting's value."""
    with pytest.raises(InputError, match="wanted -S key=value, with a value as it is"):
        overridden(TEXT, [change], "params.yaml")


@pytest.mark.parametrize("change", [f"count={'9' * 5000}", f"texts={'[' * 500}", "name=a\ud800", "", "=", "=1", ".=1"])
def test_what_dvcs_parser_stumbles_over_is_one_message_of_bounded_length(change: str) -> None:
    """The fault: a number of 5,000 digits ended with a traceback."""
    with pytest.raises(InputError, match=r"params\.yaml: wanted -S key=value") as error:
        overridden(TEXT, [change], "params.yaml")
    assert len(str(error.value)) < 1300
