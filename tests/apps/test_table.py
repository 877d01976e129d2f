"""`python -m apps.table`: the rows it runs, what it prints, and that every experiment file is one it can run."""

import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from apps import table
from lib import editors
from lib.core import params
from lib.metrics import published


def metrics(score: float) -> dict[str, Any]:
    values = {"score": score, "efficacy": 99.0, "generalization": 90.0, "locality": None}
    return {"n": 12} | values | {f"{name}_ci95": 1.5 for name in values}


def test_one_seed_shows_its_interval_and_several_their_spread() -> None:
    beside = published.table("counterfact", "mass", "success")
    printed = table.rendered({"MEMIT": [metrics(80.0)], "new": [metrics(70.0), metrics(72.0)]}, beside).splitlines()
    assert (
        printed[2]
        == "| MEMIT | 1 | 12 | 80.0 ± 1.5 | 99.0 ± 1.5 | 90.0 ± 1.5 | not measured | 85.8 / 98.9 / 88.6 / 73.7 |"
    )
    assert printed[3].startswith("| new | 2 | 12 | 71.0 ± 1.4 |")
    assert printed[3].endswith("| - |")


def test_every_row_and_seed_is_run_once_from_the_same_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "two.yaml"
    file.write_text("seeds: [0]\nseed_params: [train.seed]\nset: [editor=rome]\nrows:\n  a: [x=1]\n  b: []\n")
    ran: dict[str, list[str]] = {}

    def evaluated(name: str, changes: list[str], stage: str) -> dict[str, Any]:
        assert stage == "evaluate"
        ran[name] = changes
        return metrics(1.0)

    monkeypatch.setattr(table, "_evaluated", evaluated)
    monkeypatch.setattr(sys, "argv", ["table", str(file), "--seeds", "0", "1", "-S", "facts.limit=3"])
    table.main()
    assert ran == {
        "two-a-s0-facts-limit-3": ["editor=rome", "facts.limit=3", "x=1", "train.seed=0"],
        "two-a-s1-facts-limit-3": ["editor=rome", "facts.limit=3", "x=1", "train.seed=1"],
        "two-b-s0-facts-limit-3": ["editor=rome", "facts.limit=3", "train.seed=0"],
        "two-b-s1-facts-limit-3": ["editor=rome", "facts.limit=3", "train.seed=1"],
    }


@pytest.mark.parametrize("file", sorted((params.ROOT / "experiments").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_change_of_an_experiment_names_a_param_and_every_editor_exists(file: Path) -> None:
    content = YAML(typ="safe").load(file)
    known = params.read_params()
    for changes in [content.get("set", []), *content["rows"].values()]:
        for change in changes:
            name, value = change.split("=", 1)
            place: Any = known
            for part in name.split("."):
                assert part in place, f"{file.name}: {name}"
                place = place[part]
            assert name != "editor" or value in editors.names()


def test_a_row_that_fails_is_named_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_DVC", [sys.executable, "-c", "import sys; sys.exit('exp run' in ' '.join(sys.argv))"])
    with pytest.raises(ValueError, match=r"experiment mass-ft failed; its messages stand above.* must be absolute"):
        table._evaluated("mass-ft", ["x=1"], "evaluate")
