"""Files of experiments/: the changes and the name of every run."""

from pathlib import Path

import pytest

from lib.experiments.files import Experiments, read_experiments

TEXT = "seeds: [0]\nseed_params: [train.seed, para.seed]\nset: [editor=rome]\nrows:\n  RECT 40: [x=1]\n  none: []\n"


@pytest.fixture
def file(tmp_path: Path) -> Experiments:
    (tmp_path / "two.yaml").write_text(TEXT)
    return read_experiments(tmp_path / "two.yaml")


def test_a_rows_changes_come_after_the_common_ones_and_the_settings_and_the_seed_is_last(file: Experiments) -> None:
    changes = file.changes("RECT 40", 3, ["editor=memit"])
    assert changes == ["editor=rome", "editor=memit", "x=1", "train.seed=3", "para.seed=3"]


def test_a_slug_says_file_row_and_seed_in_letters_that_git_allows(file: Experiments) -> None:
    assert file.slug("RECT 40", 1) == "two-rect-40-s1"
    assert file.slug("none", 0) == "two-none-s0"


def test_rows_keep_the_files_order_and_an_unknown_one_is_named(file: Experiments) -> None:
    assert file.selected([]) == ["RECT 40", "none"]
    assert file.selected(["none", "RECT 40"]) == ["RECT 40", "none"]
    assert file.selected(["none"]) == ["none"]
    with pytest.raises(ValueError, match=r"two: wanted rows among RECT 40, none; found 'RECT 30'"):
        file.selected(["RECT 30"])


def test_a_file_without_a_stage_runs_up_to_evaluate(file: Experiments) -> None:
    assert (file.stage, file.seeds) == ("evaluate", [0])
