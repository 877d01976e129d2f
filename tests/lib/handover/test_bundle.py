"""A bundle is read back as it was written, by another version too."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lib.core.errors import InputError
from lib.core.records import LocalityPrompt
from lib.handover.bundle import write_facts
from lib.handover.facts import loaded_facts
from tests.helpers.bundles import small_bundle
from tests.helpers.small import REQUESTS


def test_facts_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    """The fault: how prompt and target are joined was lost."""
    first = replace(
        REQUESTS[0], separator="nothing", train_paraphrases=("Ada dwells in",), paraphrases=("The home of Ada is",),
        locality=(LocalityPrompt(prompt="Eve lives in", target="Pau"),), generation_prompts=(), references=(),
    )  # fmt: skip
    second = replace(first, request_id="bare", target_true=None, subject=None, template=None, separator=None)
    requests = [replace(request, dataset="own") for request in (first, second)]
    write_facts(tmp_path / "facts.jsonl", requests)
    assert loaded_facts(tmp_path / "facts.jsonl").requests == requests


def test_an_edit_that_another_version_trained_by_another_recipe_is_opened(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "edit", REQUESTS[:1], is_latest=False)
    path = bundle.folder / "errata" / "run.json"
    values = json.loads(path.read_text())
    values["model"]["train"]["held"] = {"a_number_of_another_version": 3}
    path.write_text(json.dumps(values))
    assert bundle.info().preset.name == values["model"]["name"]
    assert bundle.info().model["train"]["held"] == {"a_number_of_another_version": 3}


@pytest.mark.parametrize("train", [None, 3, "absent"])
def test_a_recipe_that_is_none_is_refused_by_its_key(train: object, tmp_path: Path) -> None:
    """The fault: a TypeError or a KeyError ended the command with a traceback."""
    bundle = small_bundle(tmp_path / "edit", REQUESTS[:1], is_latest=False)
    path = bundle.folder / "errata" / "run.json"
    values = json.loads(path.read_text())
    values["model"]["train"] = train
    if train == "absent":
        del values["model"]["train"]
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"errata/run\.json: model\.train"):
        print(bundle.info().preset)
