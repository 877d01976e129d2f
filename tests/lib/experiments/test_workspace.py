"""What rows start from: names and changes of planned runs, in a small repository."""

from pathlib import Path

import pytest

from lib.core.errors import InputError
from lib.experiments.files import Experiments
from lib.experiments.workspace import PlannedRun, Workspace
from tests.helpers.repositories import FILES, PARAMS, commit, git, small_repository

ROW_A = ["para.n=3"]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return small_repository(tmp_path / "repository")


def plan(root: Path, *settings: str, row: list[str] = ROW_A, stage: str = "evaluate") -> PlannedRun:
    table = Experiments(
        name="two",
        stage=stage,
        seeds=[0],
        seed_params=["train.seed"],
        common=["neighbors.kind=random"],
        rows={"A": row},
        published=None,
        show="headline",
        small={},
        skipped=[],
    )
    return Workspace.of(root).plan(table, "A", 5, settings)


def test_a_name_is_short_and_says_file_row_seed_and_a_hash_of_all_values(repository: Path) -> None:
    planned = plan(repository)
    assert planned.name.startswith("two-a-s5-")
    assert len(planned.name) == len("two-a-s5-") + 6
    assert planned.changes == ["neighbors.kind=random", "para.n=3", "train.seed=5"]
    assert planned.values["params.yaml"]["para"] == {"n": 3}
    assert planned.values["configs/editors/plain.yaml"]["lr"] == 0.5


def test_the_hash_is_of_values_and_not_of_how_they_are_spelled(repository: Path) -> None:
    name = plan(repository).name
    assert plan(repository, "para.n=10").name == name
    assert plan(repository, "neighbors.kind=random", row=["para.n=9", "para.n=3"]).name == name
    different = [
        plan(repository, "neighbors.kind=similar"), plan(repository, row=["para.n=4"]), plan(repository, stage="all"),
        plan(repository, "configs/editors/plain.yaml:lr=0.6"), plan(repository, 'own.path="x.csv"'),
    ]  # fmt: skip
    assert len({name, *(planned.name for planned in different)}) == 6


def test_values_of_the_workspace_are_set_back_and_change_no_name(repository: Path) -> None:
    name = plan(repository).name
    (repository / "params.yaml").write_text(PARAMS.replace("random", "similar").replace("score: {value: 90.0}", ""))
    (repository / "configs/editors/plain.yaml").write_text(FILES["configs/editors/plain.yaml"].replace("0.5", "2.0"))
    planned = plan(repository)
    assert planned.name == name
    assert planned.changes[:3] == ['++neighbors.kind="random"', "++score={value: 90.0}",
                                   "configs/editors/plain.yaml:++lr=0.5"]  # fmt: skip
    assert Workspace.of(repository).differences([planned]) == [
        "params.yaml: neighbors.kind is 'similar' in the workspace; rows start from HEAD's 'random'.",
        "params.yaml: score is absent in the workspace; rows start from HEAD's {'value': 90.0}.",
        "configs/editors/plain.yaml: lr is 2.0 in the workspace; rows start from HEAD's 0.5.",
    ]


def test_uncommitted_code_changes_the_name_and_is_told(repository: Path) -> None:
    name = plan(repository).name
    (repository / "README").write_text("no stage reads it")
    (repository / "lib/new.py").write_text("")
    (repository / "lib/other_editor.py").write_text("")
    git(repository, "add", "README", "lib/other_editor.py")
    assert plan(repository).name == name
    (repository / "lib/plain.py").write_text("bonus = 5.0\n")
    planned = plan(repository)
    assert planned.name != name
    assert Workspace.of(repository).differences([planned]) == [
        "lib/plain.py differs from HEAD: rows run with it as it is, under names of their own."
    ]
    commit(repository, "another bonus")
    assert plan(repository).name == name


def test_a_file_that_stages_read_and_git_does_not_know_is_told(repository: Path) -> None:
    (repository / "mine.csv").write_text("")
    differences = Workspace.of(repository).differences([plan(repository, "own.path=mine.csv")])
    assert differences == ["mine.csv is not in git: rows run without it (`git add` it)."]


def test_a_preset_that_is_not_there_is_named(repository: Path) -> None:
    with pytest.raises(InputError, match=r"-S configs/x\.yaml:a=1: wanted a file of the repository; found none"):
        plan(repository, "configs/x.yaml:a=1")
    (repository / "params.yaml").unlink()
    with pytest.raises(InputError, match=r"params\.yaml is deleted here.*`git checkout params\.yaml`"):
        plan(repository)


def test_a_dag_that_depends_on_all_of_params_yaml_leaves_the_changes_in_values_and_name(repository: Path) -> None:
    """The fault: a stage with `params.yaml:` among its params set its values back, so all rows had one hash."""
    (repository / "dvc.yaml").write_text(FILES["dvc.yaml"].replace("      - dataset\n", "      - params.yaml:\n"))
    commit(repository, "all params")
    planned = plan(repository)
    assert planned.values["params.yaml"]["para"] == {"n": 3}
    assert planned.name[-6:] != plan(repository, row=["para.n=4"]).name[-6:]
