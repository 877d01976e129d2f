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


SMALL = f"{TEXT}small:\n  set: [model=tiny, facts.limit=5]\n  RECT 40: [x=2]\n  skip: [none]\n"


def test_the_small_scale_goes_over_a_rows_changes_and_a_users_setting_over_the_small_one(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(SMALL)
    table = read_experiments(tmp_path / "two.yaml")
    changes = table.changes("RECT 40", 0, ["facts.limit=9", "y=3"], "small")
    smaller = ["model=tiny", "facts.limit=5", "x=2", "facts.limit=9"]
    assert changes == ["editor=rome", "facts.limit=9", "y=3", "x=1", *smaller, "train.seed=0", "para.seed=0"]
    assert (table.selected([], "small"), table.selected(["none"], "small")) == (["RECT 40"], ["none"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT.replace("rows:", "row:"), r"wanted the keys .*; found 'row'\. Did you mean 'rows'\?"),
        (SMALL.replace("skip: [none]", "skip: [all]"), r"small: wanted set, skip and rows of the table; found 'all'"),
    ],
)
def test_a_wrong_key_of_a_file_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_experiments(tmp_path / "two.yaml")


def test_a_file_in_a_folder_of_experiments_has_the_folders_name_in_front(tmp_path: Path) -> None:
    (tmp_path / "experiments/ft").mkdir(parents=True)
    (tmp_path / "experiments/ft/two.yaml").write_text(TEXT)
    assert read_experiments(tmp_path / "experiments/ft/two.yaml").name == "ft-two"
