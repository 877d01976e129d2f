"""The folder is the registry: every module has a preset of its name, and an unknown name gets the nearest known one."""

import pytest

from lib import datasets
from lib.core import params
from lib.core.params import Dataset, Facts, Own


def test_every_dataset_has_a_preset_that_names_its_module() -> None:
    assert datasets.names() == [
        "almanac",
        "counterfact",
        "easyedit",
        "mquake",
        "own",
        "ripple_edits",
        "wikibigedit",
        "wikirecent",
        "world",
        "zsre",
    ]
    assert [params.preset("datasets", name, Dataset).loader for name in datasets.names()] == datasets.names()


def test_the_headline_measure_is_success_for_counterfactuals_and_accuracy_for_answers() -> None:
    metrics = {name: params.preset("datasets", name, Dataset).metric for name in params.presets("datasets")}
    assert {name for name, metric in metrics.items() if metric == "success"} == {
        "almanac",
        "counterfact",
        "easyedit",
        "mquake",
        "multi_counterfact",
        "world",
    }
    assert {"own", "zsre", "wikirecent", "knowedit"} <= set(metrics)


def test_an_extra_that_the_preset_does_not_have_is_an_error_with_the_nearest_name(facts: Facts, own: Own) -> None:
    preset = params.preset("datasets", "counterfact", Dataset)
    with pytest.raises(ValueError, match=r"wanted some of snippets, text; found 'snippet'\. Did you mean 'snippets'"):
        datasets.find(preset, facts.model_copy(update={"extras": ["snippet"]}), own)


def test_an_unknown_dataset_is_an_error_with_the_nearest_name(facts: Facts, own: Own) -> None:
    with pytest.raises(ValueError, match=r"dataset: .*found 'counterfacts'\. Did you mean 'counterfact'\?"):
        datasets.load("counterfacts", {}, facts, params.preset("datasets", "world", Dataset), own)


def test_the_pool_limit_draws_facts_of_all_relations_in_the_order_of_the_pool(facts: Facts, own: Own) -> None:
    preset = params.preset("datasets", "almanac", Dataset)
    unlimited = datasets.load("almanac", {}, facts, preset, own).pool
    limited = datasets.load("almanac", {}, facts.model_copy(update={"pool_limit": 300}), preset, own).pool
    assert len(limited) == 300
    assert limited == [fact for fact in unlimited if fact in limited]
    assert len({fact.relation for fact in limited}) > 25


@pytest.mark.parametrize(
    ("pool", "nearest"), [("wrld", "Did you mean 'world'"), ("own", "counterfact, easyedit, knowedit")]
)
def test_a_pool_that_is_no_other_dataset_is_an_error_that_tells_the_choices(pool: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=rf"own\.pool: .*found '{pool}'") as raised:
        datasets.pool_preset(Own(path="unused.csv", pool=pool))
    assert nearest in str(raised.value)


def test_a_file_has_one_address_and_one_sha256_in_every_preset_that_names_it() -> None:
    presets = [params.preset("datasets", name, params.Dataset) for name in params.presets("datasets")]
    files = [file for preset in presets for file in (*preset.files.values(), *preset.extras.values())]
    pins: dict[str, set[tuple[tuple[str, ...], str | None]]] = {}
    for file in files:
        pins.setdefault(file.name, set()).add((tuple(file.urls), file.sha256))
    assert {name: len(kinds) for name, kinds in pins.items() if len(kinds) > 1} == {}
    assert sum(sha256 is not None for kinds in pins.values() for _, sha256 in kinds) == 6
