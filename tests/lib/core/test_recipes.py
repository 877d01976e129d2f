"""Recipes of the objective held: named by presets, and scaled to the number of edits."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lib.core import params
from lib.core.errors import InputError

RECIPE = params.preset("recipes", "held", params.Held)


def test_a_preset_takes_the_recipe_that_it_names() -> None:
    for name in ("smollm2-135m", "gguf", "folder", "llama-3.1-8b-instruct"):
        assert params.preset("models", name, params.Model).train.held == RECIPE
    assert params.preset("models", "gpt-j-6b", params.Model).train.held is None


def test_a_recipe_that_is_not_there_is_refused_with_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yaml: Any = YAML(typ="safe", pure=True)
    values = params.read_params(params.PRESETS / "models" / "smollm2-135m.yaml")
    (tmp_path / "models").mkdir()
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "held.yaml").write_text("lr: 1.0\n", encoding="utf-8")
    with (tmp_path / "models" / "mine.yaml").open("w", encoding="utf-8") as stream:
        yaml.dump(values | {"train": values["train"] | {"held": "heldd"}}, stream)
    monkeypatch.setattr(params, "PRESETS", tmp_path)
    with pytest.raises(InputError, match=r"train\.held: wanted .* one of held; found 'heldd'\. Did you mean 'held'\?"):
        params.preset("models", "mine", params.Model)


def test_many_edits_take_larger_steps_with_more_prompts_beside_them_and_no_more_steps() -> None:
    beside = {"prompts": 6, "chat_prompts": 4, "earlier": 4}
    recipe = RECIPE.model_copy(update={"epochs": 40, "most_steps": 120, "batch_size": 10, **beside})
    assert recipe.of_edits(30, 30) == recipe
    assert recipe.of_edits(3, 3) == recipe
    larger = recipe.of_edits(100, 100)
    assert (larger.batch_size, larger.prompts, larger.chat_prompts, larger.earlier) == (34, 20, 14, 14)
    assert larger.model_copy(update={"batch_size": 10, **beside}) == recipe


def test_many_subjects_take_more_and_slower_steps_in_place_of_larger_ones() -> None:
    recipe = RECIPE.model_copy(
        update={"epochs": 40, "most_steps": 120, "together": 100, "batch_size": 10, "prompts": 6, "lr": 0.1}
    )
    crowded = recipe.of_edits(1000, 1000)
    assert (crowded.most_steps, crowded.batch_size, crowded.prompts) == (1200, 34, 20)
    assert crowded.lr == pytest.approx(0.01)
    about_few = recipe.of_edits(1000, 100)
    assert (about_few.most_steps, about_few.batch_size, about_few.lr) == (120, 334, 0.1)


@pytest.mark.parametrize(
    ("train", "steps"),
    [({}, 120), ({"epochs": 4}, None), ({"batch_size": 2}, None), ({"objective": "published"}, None)],
)
def test_steps_have_a_limit_only_where_auto_chooses_them(train: dict[str, Any], steps: int | None) -> None:
    recipe = params.preset("models", "smollm2-135m", params.Model).train
    held = RECIPE.model_copy(update={"most_steps": 120})
    settings = params.section("train", params.Train).model_copy(update=train)
    assert params.step_limits(settings, recipe.model_copy(update={"held": held}))["most_steps"] == steps


@pytest.mark.parametrize(("lr", "is_own"), [("auto", False), (0.1, True)])
def test_a_rate_is_ones_own_wherever_it_is_written_out(lr: object, is_own: bool) -> None:
    """Also where it is the recipe's number."""
    model = params.preset("models", "smollm2-135m", params.Model)
    train = params.section("train", params.Train).model_copy(update={"lr": lr})
    assert params.training(train, model)["own_rate"] is is_own


@pytest.mark.parametrize(
    ("depth", "count", "blocks"), [((0.1, 0.57), 30, (3, 17)), ((0.1, 0.57), 18, (2, 10)), ((0, 1), 4, (0, 3))]
)
def test_blocks_by_shares_of_the_depth(depth: tuple[float, float], count: int, blocks: tuple[int, int]) -> None:
    lora = params.Lora(r=1, alpha=1.0, targets=["down_proj"], depth=[float(share) for share in depth])
    assert lora.blocks(count) == blocks
    assert lora.model_copy(update={"layers": [1, 2]}).blocks(count) == (1, 2)


def test_an_edit_that_is_handed_over_names_no_recipe_but_has_it() -> None:
    values = params.with_recipe_file(params.read_params(params.PRESETS / "models" / "folder.yaml"))
    assert params.check(values, params.Model, "").train.held == RECIPE


@pytest.mark.parametrize(
    ("edits", "subjects", "weight"),
    [(30, 30, 1000.0), (100, 100, 1000.0), (400, 400, 125.0), (40, 10, 62.5), (1, 1, 30000.0), (10, 10, 3000.0),
     (15, 5, 1000 * 2 / 9)],
)  # fmt: skip
def test_what_edits_pay_for_drift(edits: int, subjects: int, weight: float) -> None:
    """Less where they share subjects, and where they are crowded; more where they are few."""
    recipe = RECIPE.model_copy(update={"drift": 1000.0, "drift_sharing": 2.0, "together": 100})
    assert recipe.drift_weight(edits, subjects) == pytest.approx(weight)
