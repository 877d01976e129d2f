"""What rows need: more edits more hours, each editor its own stages, and what each fetches."""

from pathlib import Path
from typing import Any

import pytest

from lib.core import params
from lib.core.editor_presets import resolved
from lib.core.params import Dataset
from lib.core.root import Params, checked_root
from lib.experiments import sizing
from lib.experiments.configs import CONFIGS
from lib.experiments.dry_run import DEVICES
from lib.experiments.fetching import sources
from lib.experiments.needs import Row, needs
from lib.models.architecture import shape
from tests.helpers.stages import READ_PARAMS

MODEL = params.preset("models", "gpt2-xl", params.Model)
SHAPE = sizing.shape_of_model(CONFIGS["gpt2-xl"], MODEL.lora)


def root(**changed: Any) -> Params:
    values = READ_PARAMS()
    values |= {"dataset": "zsre", "model": "gpt2-xl", "editor": "lora"}
    for name, change in changed.items():
        values[name] = values[name] | change if isinstance(change, dict) else change
    values["train"] = values["train"] | {"objective": "published"}
    checked = params.check(values, Params, "params.yaml")
    return checked_root(checked, MODEL, params.preset("datasets", checked.dataset, Dataset))


def hours(editor: str, edits: int = 100, kind: str = "mass", has_abilities: bool = False, **preset: Any) -> Any:
    content = READ_PARAMS(params.PRESETS / "editors" / f"{editor}.yaml") | preset
    row = Row(
        root=root(editor=editor, facts={"limit": edits}, protocol={"kind": kind}),
        model=MODEL,
        editor=resolved(content, editor, shape(CONFIGS["gpt2-xl"]))[0],
        shape=SHAPE,
        has_abilities=has_abilities,
    )
    return {stage: need.hours for stage, need in needs(row, DEVICES["h100"]).items()}


@pytest.mark.parametrize("kind", ["mass", "single", "sequential"])
@pytest.mark.parametrize(
    "editor", ["lora", "ft", "loc_ft", "grace", "ultraedit", "rledit", "rome", "memit", "kn", "mend"]
)
def test_more_edits_take_longer_and_a_session_each_no_less(editor: str, kind: str) -> None:
    assert hours(editor, 400, kind)["edit"] > hours(editor, 4, kind)["edit"]
    assert hours(editor, 400, kind)["edit"] >= hours(editor, 400, "mass")["edit"]


def test_each_editor_needs_its_own_stages() -> None:
    assert {*hours("rome")} == {"paraphrase", "statistics", "edit", "score", "texts"}
    assert "statistics" not in hours("rome", moments=False)
    assert "hypernet" in hours("mend")
    assert hours("rledit", turns=400)["hypernet"] > 3 * hours("rledit", turns=100)["hypernet"] > 0
    assert "edit" not in hours("ike")
    assert hours("ike")["score"] > hours("none")["score"]
    assert hours("lora", has_abilities=True).keys() - hours("lora").keys() == {"abilities"}


def test_full_fine_tuning_takes_more_memory_and_time_than_one_matrix() -> None:
    assert hours("ft", module="all", batch_size=64)["edit"] > hours("ft", batch_size=64)["edit"]


def test_what_a_person_must_get_is_told_apart_from_what_stages_fetch(tmp_path: Path) -> None:
    llama = params.preset("models", "llama-2-7b", params.Model)
    dataset = params.preset("datasets", "zsre", Dataset)
    read = sources(root(abilities={"tasks": ["eight", "perplexity"]}, facts={"extras": ["text"]}), llama, dataset)
    assert [line.partition(",")[0] for line in read.by_stages[:3]] == [
        "zsre_mend_eval.json", "zsre_mend_train.json", "wikipedia-20231101-en-00000-of-00041.parquet"
    ]  # fmt: skip
    assert read.by_hand[0] == "meta-llama/Llama-2-7b-hf: accept its terms on the hub and log in (`hf auth login`)"
    assert [line.split(":")[0] for line in read.by_hand[1:]] == [
        "task open_qa", "task dialogue", "task summarization", "task ner"
    ]  # fmt: skip
    everything = sources(root(abilities={"tasks": ["eight"], "folder": str(tmp_path)}), MODEL, dataset)
    assert len(everything.by_hand) == 8
