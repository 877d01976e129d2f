"""An editor's settings follow the model's shape, and what a user types stays."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lib import editors
from lib.core import editor_presets
from lib.core.editor_presets import choices_for, editor_preset, explained, shape_name
from lib.core.errors import InputError
from lib.core.params import ROOT
from lib.core.section import Section
from lib.editors import editor

PUBLISHED = {
    ("memit", "gpt2-48-1600"): ("layers", [13, 14, 15, 16, 17]),
    ("memit", "gptj-28-4096"): ("layers", [3, 4, 5, 6, 7, 8]),
    ("memit", "llama-32-4096-14336"): ("layers", [4, 5, 6, 7, 8]),
    ("memit", "llama-32-4096-11008"): ("layers", [4, 5, 6, 7, 8]),
    ("memit", "mistral-32-4096-14336"): ("layers", [4, 5, 6, 7, 8]),
    ("memit", "qwen2-28-3584-18944"): ("layers", [4, 5, 6, 7, 8]),
    ("alphaedit", "gpt2-48-1600"): ("layers", [13, 14, 15, 16, 17]),
    ("emmet", "gpt2-48-1600"): ("layers", [17]),
    ("emmet", "gptj-28-4096"): ("layers", [5]),
    ("rome", "gpt2-48-1600"): ("layer", 17),
    ("rome", "gptj-28-4096"): ("layer", 5),
    ("r_rome", "llama-32-4096-11008"): ("layer", 5),
    ("rome", "mistral-32-4096-14336"): ("layer", 5),
    ("rome", "qwen2-28-3584-18944"): ("layer", 5),
}
"""What the releases' hyper-parameter files have."""


class Settings(Section):
    """configs/editors/any.yaml"""

    lr: float
    layers: list[int] | str
    inner: dict[str, int]


@pytest.fixture
def preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes configs/editors/any.yaml with some keys changed."""
    monkeypatch.setattr(editor_presets, "PRESETS", tmp_path)
    (tmp_path / "editors").mkdir()
    values: dict[str, Any] = {
        "lr": "auto", "layers": "auto", "inner": {"steps": "auto", "seed": 3},
        "otherwise": {"lr": 0.5, "inner": {"steps": 7}},
        "models": {"gpt2-48-1600": {"lr": 0.1, "layers": [17], "inner": {"steps": 9}}},
    }  # fmt: skip

    def write(**changed: Any) -> None:
        YAML().dump(values | changed, tmp_path / "editors/any.yaml")

    write()
    return write


def test_gpt2_xl_has_its_published_layers_wherever_it_lies() -> None:
    """The fault: from a folder, GPT-2 XL got MEMIT layers 5 to 14, because the table was keyed by a preset's name."""
    for (name, shape), (key, value) in PUBLISHED.items():
        assert getattr(editor_preset(name, shape, editor(name).Settings), key) == value


@pytest.mark.usefixtures("preset")
def test_a_known_shape_takes_its_own_values_and_every_other_one_those_of_otherwise() -> None:
    of_the_shape = editor_preset("any", shape_name("gpt2", 48, 1600), Settings)
    assert (of_the_shape.lr, of_the_shape.layers, of_the_shape.inner) == (0.1, [17], {"steps": 9, "seed": 3})
    for shape in ("gpt2-48-1601", "gpt2-47-1600", "gptj-48-1600", None):
        of_another_shape = editor_preset("any", shape, Settings)
        assert (of_another_shape.lr, of_another_shape.layers, of_another_shape.inner) == (
            0.5,
            "auto",
            {"steps": 7, "seed": 3},
        )


def test_what_a_user_types_stays(preset: Any) -> None:
    preset(layers=[1, 2], inner={"steps": 5, "seed": 3})
    of_the_shape = editor_preset("any", "gpt2-48-1600", Settings)
    assert (of_the_shape.lr, of_the_shape.layers, of_the_shape.inner["steps"]) == (0.1, [1, 2], 5)
    assert [choice.key for choice in choices_for("any", "gpt2-48-1600")] == ["lr"]


def test_an_entry_with_the_inner_size_goes_over_one_without(preset: Any) -> None:
    """The fault: Llama 2 7B took the settings of Llama 3 8B, which has its family, depth and width."""
    preset(models={"llama-32-4096": {"lr": 0.1}, "llama-32-4096-11008": {"lr": 0.2}})
    rates = [editor_preset("any", f"llama-32-4096{inner}", Settings).lr for inner in ("-11008", "-14336", "")]
    assert rates == [0.2, 0.1, 0.1]


def test_a_model_for_which_nothing_is_published_is_refused_until_the_user_chooses(preset: Any) -> None:
    preset(models={"qwen3-36-4096-12288": None})
    with pytest.raises(
        ValueError, match=r"nothing is published .* qwen3-36-4096-12288, so layers must be chosen; .*-S"
    ):
        editor_preset("any", "qwen3-36-4096-12288", Settings)
    preset(models={"qwen3-36-4096-12288": None}, layers=[6])
    of_the_shape = editor_preset("any", "qwen3-36-4096-12288", Settings)
    assert (of_the_shape.layers, of_the_shape.lr, of_the_shape.inner["steps"]) == ([6], 0.5, 7)


def test_llama_2_and_llama_3_have_their_own_settings_of_memit() -> None:
    llama_2, llama_3 = (
        editor_preset("memit", f"llama-32-4096-{inner}", editor("memit").Settings).model_dump()["optimisation"]
        for inner in (11008, 14336)
    )
    assert (llama_2["lr"], llama_2["clamp"], llama_2["weight_decay"]) == (0.5, 4.0, 1.0e-3)
    assert (llama_3["lr"], llama_3["clamp"], llama_3["weight_decay"]) == (0.1, 0.75, 0.5)


@pytest.mark.usefixtures("preset")
def test_what_was_taken_is_said_with_its_reason() -> None:
    assert explained("any", "gpt2-48-1600") == [
        "editor any: lr 0.1, layers [17], inner.steps 9: configs/editors/any.yaml has them for models of the shape "
        "gpt2-48-1600"
    ]
    where = "configs/editors/any.yaml names none for models of the shape llama-30-576"
    assert explained("any", "llama-30-576") == [
        f"editor any: lr 0.5, inner.steps 7: {where}; its section otherwise holds",
        f"editor any: layers: {where}; the editor's own rule holds",
    ]


def test_a_wrong_key_or_shape_is_named(preset: Any) -> None:
    preset(models={"gpt2-xl": {"lr": 0.1}})
    with pytest.raises(
        ValueError, match=r"models: wanted shapes of models, .* such as gpt2-48-1600 .* found 'gpt2-xl'"
    ):
        editor_preset("any", None, Settings)
    preset(models={"gpt2-48-1600": {"layer": [1]}})
    with pytest.raises(ValueError, match=r"models\.gpt2-48-1600\.layer: unknown key\. Did you mean 'layers'\?"):
        editor_preset("any", None, Settings)
    preset(otherwise={"inner": {"step": 1}})
    with pytest.raises(ValueError, match=r"otherwise\.inner\.step: unknown key\. Did you mean 'steps'\?"):
        editor_preset("any", None, Settings)
    preset(models={"gpt2-48-1600": {"lr": "high"}})
    with pytest.raises(ValueError, match=r"any\.yaml: models\.gpt2-48-1600\.lr: .*found 'high'"):
        editor_presets.check_preset("any", Settings)


@pytest.mark.parametrize(
    ("entries", "key"),
    [
        ({"models": {"gpt2-48-1600": 3}}, "models.gpt2-48-1600"),
        ({"models": ["gpt2-48-1600"]}, "models"),
        ({"otherwise": "lr"}, "otherwise"),
        ({"otherwise": {"inner": 0.5}}, "otherwise.inner"),
    ],
)
def test_an_entry_that_is_no_mapping_is_an_error_that_names_it(preset: Any, entries: dict[str, Any], key: str) -> None:
    """The fault: a traceback, found by fuzzed presets."""
    preset(**entries)
    with pytest.raises(InputError, match=rf"any\.yaml: {re.escape(key)}: wanted keys with values; found"):
        editor_preset("any", None, Settings)


@pytest.mark.parametrize("name", editors.names())
def test_every_preset_fits_its_editor_for_every_shape_and_every_entry_is_of_a_key_that_is_auto(name: str) -> None:
    """An entry of a key that has a value of its own would never be taken."""
    editors.check_preset(name)
    values = YAML(typ="safe").load(ROOT / f"configs/editors/{name}.yaml") or {}
    for entry in filter(None, (values.get("otherwise"), *values.get("models", {}).values())):
        for key, value in entry.items():
            parts = [(values[key][part], part) for part in value] if isinstance(value, dict) else [(values[key], key)]
            assert all(own == "auto" for own, _ in parts), (name, key)
