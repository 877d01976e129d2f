"""WikiRecent as simplified: neighborhood prompts of CounterFact's right part, a pool that none of them comes from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib.core import params
from lib.core.params import Dataset, Facts, Neighborhood, Own
from lib.datasets import load
from tests.helpers.datasets import dataset_preset

SHARES = Neighborhood(n=3, test=0.5, validation=0.25)
PRESET = dataset_preset("wikirecent", "accuracy", neighborhood=SHARES)


def counterfact(case: int) -> dict[str, Any]:
    return {
        "case_id": case,
        "requested_rewrite": {
            "prompt": "{} lives in",
            "relation_id": "P1",
            "target_new": {"str": "Rome", "id": None},
            "target_true": {"str": f"City {case}", "id": None},
            "subject": f"Person {case}",
        },
        "paraphrase_prompts": [],
        "neighborhood_prompts": [f"UneditedFact {case}-{number} lives in" for number in range(2)],
        "generation_prompts": [],
    }


@pytest.fixture
def files(as_json: Callable[..., Path]) -> dict[str, Path]:
    def records(name: str, count: int) -> Path:
        edits = [
            {"subject": f"S{number}", "prompt": f"{name} S{number} is", "target_new": f"t{number}"}
            for number in range(count)
        ]
        return as_json([{**edit, "portability": {}, "locality": {"any": "thing"}} for edit in edits], f"{name}.json")

    return {
        "test": records("test", 6),
        "validation": records("validation", 4),
        "counterfact": as_json([counterfact(case) for case in range(8)], "counterfact.json"),
    }


@pytest.mark.parametrize(("split", "edits", "cases"), [("test", 6, {0, 1, 2, 3}), ("validation", 4, {4, 5})])
def test_each_split_has_edits_of_its_file_and_neighborhood_prompts_of_its_part(
    split: str, edits: int, cases: set[int], files: dict[str, Path], facts: Facts, own: Own
) -> None:
    loaded = load("wikirecent", files, facts.model_copy(update={"split": split}), PRESET, own)
    assert len(loaded.requests) == edits
    assert all(request.prompt.startswith(split) and request.dataset == "wikirecent" for request in loaded.requests)
    assert all(len({local.prompt for local in request.locality}) == 3 for request in loaded.requests)
    neighborhood = {
        (local.prompt.split()[1].split("-")[0], local.target)
        for request in loaded.requests
        for local in request.locality
    }
    assert neighborhood <= {(str(case), f"City {case}") for case in cases}
    assert len(neighborhood) > 1
    assert [fact.fact_id for fact in loaded.pool] == ["6", "7"]
    assert {(request.paraphrases, request.target_true) for request in loaded.requests} == {((), None)}


def test_an_edits_prompts_depend_on_the_seed_and_not_on_the_other_edits(
    files: dict[str, Path], facts: Facts, own: Own
) -> None:
    second_requests = [
        load("wikirecent", files, facts.model_copy(update=changed), PRESET, own).requests[1]
        for changed in ({}, {"limit": 2}, {"seed": 1})
    ]
    assert second_requests[0] == second_requests[1] != second_requests[2]


def test_a_preset_that_does_not_tell_how_to_draw_is_refused(files: dict[str, Path], facts: Facts, own: Own) -> None:
    with pytest.raises(ValueError, match=r"neighborhood: wanted how to draw CounterFact's prompts; found null"):
        load("wikirecent", files, facts, PRESET.model_copy(update={"neighborhood": None}), own)


@pytest.mark.data
@pytest.mark.parametrize(("split", "number"), [("test", 1266), ("validation", 570)])
def test_every_published_record_becomes_an_edit_with_ten_prompts(
    split: str, number: int, real_data: Path, facts: Facts, own: Own
) -> None:
    names = {"test": "wikirecent_test", "validation": "wikirecent_train", "counterfact": "counterfact"}
    files = {role: real_data / f"{name}.json" for role, name in names.items()}
    preset = params.preset("datasets", "wikirecent", Dataset)
    loaded = load("wikirecent", files, facts.model_copy(update={"split": split}), preset, own)
    assert (len(loaded.requests), loaded.rejects) == (number, [])
    assert {len(request.locality) for request in loaded.requests} == {10}
    assert all(request.template for request in loaded.requests)
