"""`python -m apps.table`: the rows it runs, what it prints, and that every experiment file is one it can run."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from apps import table
from lib.experiments import outputs, overrides
from lib.experiments.files import read_experiments
from lib.experiments.workspace import PlannedRun, Workspace
from lib.metrics import published
from lib.report import board_tables, leaderboard
from tests.helpers import pages
from tests.helpers.imports import ROOT
from tests.helpers.repositories import (
    DAG,
    EVALUATE,
    PARAMS,
    PYTHON_FIRST,
    commit,
    dvc,
    experiments,
    git,
    small_repository,
)


def metrics(exact_match: float) -> dict[str, Any]:
    return pages.numbers(exact_match=exact_match, locality=None)


def test_one_seed_shows_its_interval_and_several_their_spread() -> None:
    beside = published.named("counterfact-mass")
    printed = table.rendered({"MEMIT": [metrics(98.0)], "new": [metrics(70.0), metrics(72.0)]}, beside).splitlines()
    assert printed[2] == (
        "| MEMIT | 1 | 4 | safe | 98.0 ± 2.5 | 95.0 ± 2.5 | 95.0 ± 2.5 | 1.020 ± 2.500 | 0.123 ± 2.500 | 5.0 ± 2.5 | "
        "95.0 ± 2.5 | 95.0 ± 2.5 | not measured | 95.0 ± 2.5 | 98.9 / 88.6 / 73.7 / 85.8 |"
    )
    assert printed[3].startswith("| new | 2 | 4 | did not take | 71.0 ± 1.4 |")
    assert printed[3].endswith("| - |")
    for nothing_published in (None, published.named("zsre-single")):
        head, rule, *_ = table.rendered({"new": [metrics(70.0)]}, nothing_published).splitlines()
        assert "published" not in head
        assert head.count("|") == rule.count("|")


@pytest.mark.parametrize(
    ("kind", "limit", "expected"),
    [("mass", 0, {}), ("mass", None, {"fluency": 610.0, "fluency_ci95": 3.0}),
     ("sequential", 0, {"retention": {"efficacy": {"oldest_final": 40.0}}})],
)  # fmt: skip
def test_texts_that_were_sampled_and_what_a_stream_retains_are_read_from_the_details(
    monkeypatch: pytest.MonkeyPatch, kind: str, limit: int | None, expected: dict[str, Any]
) -> None:
    details = {
        "after": {"generation": {"fluency": {"mean": 610.0, "ci95": 3.0}, "consistency": None}},
        "retention": {"efficacy": {"oldest_final": 40.0}},
    }
    monkeypatch.setattr(outputs, "content", lambda workspace, name, path: json.dumps(details).encode())
    values = {overrides.PARAMS: {"protocol": {"kind": kind}, "score": {"generations": {"limit": limit}}}}
    planned = PlannedRun(name="a", changes=[], values=values)
    assert table._from_details(Workspace.of(ROOT), planned) == expected


def test_questions_that_the_edits_imply_have_columns_of_their_own() -> None:
    forced = {"n": 4, "questions": 4, "before": 1.0, "after": 30.0, "ci95": 4.0}
    with_questions = {**metrics(98.0), "portability": {"alias": {**forced, "after": 20.0, "teacher_forced": forced}}}
    printed = table.rendered(
        {"MEMIT": [metrics(98.0)], "B": [with_questions]}, published.named("counterfact-mass")
    ).splitlines()
    assert "| portability.alias | portability.alias, teacher-forced | published" in printed[0]
    assert printed[2].endswith("| not measured | not measured | 98.9 / 88.6 / 73.7 / 85.8 |")
    assert printed[3].endswith("| 20.0 ± 4.0 | 30.0 ± 4.0 | - |")


def test_a_row_without_any_run_is_in_the_table_as_failed() -> None:
    beside = published.named("counterfact-mass")
    printed = table.rendered({"MEMIT": [], "new": [metrics(70.0)]}, beside).splitlines()
    assert printed[2] == f"| MEMIT | 0 | - | {'failed | ' * 11}98.9 / 88.6 / 73.7 / 85.8 |"


def test_rows_of_a_small_scale_say_their_model_since_their_names_say_the_papers() -> None:
    table_file = read_experiments(ROOT / "experiments" / "rect" / "figure3.yaml")
    workspace = Workspace.of(ROOT)
    runs = [workspace.plan(table_file, row, 0, [], "small") for row in table_file.selected([], "small")]
    assert any("GPT-2 XL" in row for row in table_file.selected([], "small"))
    assert table.models_of(runs).startswith("--scale small: all rows ran on smollm2-135m, ")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_repository(tmp_path_factory.mktemp("repository"))


@pytest.fixture
def clone(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the repository, in which the app runs."""
    folder = tmp_path / "clone"
    shutil.copytree(repository, folder, symlinks=True)
    monkeypatch.setattr(table, "ROOT", folder, raising=False)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", PYTHON_FIRST)
    return folder


def ask(monkeypatch: pytest.MonkeyPatch, folder: Path, rows: str, *arguments: str) -> None:
    """Run the app on a file of these rows, each a line of YAML."""
    file = folder / "table.yaml"
    file.write_text(f"seeds: [0]\nseed_params: [train.seed]\nset: [para.n=10]\nrows:\n{rows}")
    monkeypatch.setattr(sys, "argv", ["table", str(file), *arguments])
    table.main()


@pytest.mark.slow
def test_every_row_and_seed_is_run_once_and_read_the_next_time(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ("  a: [para.n=3]\n", "--seeds", "0", "1", "-S", "neighbors.kind=similar")
    ask(monkeypatch, clone, *arguments)
    printed = capfd.readouterr().out
    assert "| a | 2 | 12 | did not take, harmed | 3.0 ± 0.0 | 0.5 ± 0.0 | 2.0 ± 0.0 |" in printed
    assert [name[:-6] for name in sorted(experiments(clone))] == ["table-a-s0-", "table-a-s1-"]
    monkeypatch.setattr(table, "_DVC", ["false"])
    ask(monkeypatch, clone, *arguments)
    assert capfd.readouterr().out == printed


@pytest.mark.slow
def test_rows_go_into_the_leaderboard_with_their_commit_and_the_command_that_runs_them_again(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = clone / "board.csv"
    arguments = ("--csv", str(board), "-S", "neighbors.kind=similar")
    ask(monkeypatch, clone, "  a: [para.n=3]\n", *arguments)
    assert [entry.row for entry in leaderboard.read(board)] == ["a"]
    ask(monkeypatch, clone, "  a: [para.n=3]\n  b: []\n", *arguments)
    entries = leaderboard.read(board)
    assert [entry.row for entry in entries] == ["a", "b"]
    assert (entries[0].group, entries[0].seeds, entries[0].seconds) == (("tiny", "world", "mass", 12), (0,), None)
    assert entries[0].figures["exact_match"] == leaderboard.BoardFigure(value=3.0, spread=0.5)
    assert entries[0].commit == git(clone, "rev-parse", "HEAD")[:7]
    assert entries[0].command.endswith("table.yaml --rows a -S neighbors.kind=similar")
    assert board.with_suffix(".html").read_text() == board_tables.page(entries)


@pytest.mark.slow
def test_a_row_is_read_from_heads_experiment_and_not_from_another_commits(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The fault: of two commits' experiments of one name, HEAD's 90.0 and another's 10.0, the table printed 10.0."""
    ask(monkeypatch, clone, "  a: []\n")
    first = git(clone, "rev-parse", "HEAD").strip()
    (clone / "evaluate.py").write_text(EVALUATE.replace("bonus,", "bonus - 80.0,"))
    commit(clone, "second")
    with caplog.at_level("INFO"):
        ask(monkeypatch, clone, "  a: []\n")
    ((name, refs),) = experiments(clone).items()
    assert len(refs) == 2
    assert f"{name}: only commit {first[:7]} has it, HEAD has not; it is run" in caplog.text
    for revision, score in ((first, "90.0"), ("main", "10.0")):
        git(clone, "checkout", "-q", revision)
        capfd.readouterr()
        ask(monkeypatch, clone, "  a: []\n")
        assert f"| {score} ± 0.5 |\n" in capfd.readouterr().out


@pytest.mark.slow
def test_rows_start_from_the_committed_params_whatever_an_earlier_run_has_left(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The fault: `dvc exp run -S` leaves its values in params.yaml, and a row of the defaults ran with them."""
    dvc(clone, "exp", "run", "-S", "neighbors.kind=similar", "-S", "score.value=7.5", "-S", "para.n=15",
        "-S", "configs/editors/plain.yaml:lr=9.0")  # fmt: skip
    left = (clone / "params.yaml").read_text()
    assert "kind: similar" in left
    capfd.readouterr()
    ask(monkeypatch, clone, "  a: []\n")
    printed = capfd.readouterr().out
    assert "| a | 1 | 12 | did not take, harmed | 10.0 ± 0.5 | 0.5 ± 0.5 | 1.0 ± 0.5 |" in printed
    assert "params.yaml: neighbors.kind is 'similar' in the workspace; rows start from HEAD's 'random'." in printed
    assert "configs/editors/plain.yaml: lr is 9.0 in the workspace; rows start from HEAD's 0.5." in printed
    assert (clone / "params.yaml").read_text() == left
    git(clone, "checkout", "params.yaml", "configs")
    monkeypatch.setattr(table, "_DVC", ["false"])
    ask(monkeypatch, clone, "  a: []\n")
    assert "| 90.0 ± 0.5 |\n" in capfd.readouterr().out


@pytest.mark.slow
def test_a_run_in_the_queue_starts_from_the_committed_params_too(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (clone / "params.yaml").write_text(PARAMS.replace("random", "similar"))
    ask(monkeypatch, clone, "  a: []\n", "--queue")
    assert "1 queued" in capfd.readouterr().out
    queued = git(clone, "show", "refs/exps/celery/stash:params.yaml")
    assert 'kind: "random"' in queued or "kind: random" in queued


@pytest.mark.slow
def test_a_row_that_fails_is_named_and_the_others_are_printed(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"error: 1 of 2 runs failed, .*: table-bad-s0-\w{6}\..* must be absolute"):
        ask(monkeypatch, clone, "  bad: [para.n=13]\n  good: []\n")
    printed, messages = capfd.readouterr()
    assert "| bad | 0 | - | failed |" in printed
    assert "| good | 1 | 12 | did not take, harmed |" in printed
    assert "thirteen is not a number of paraphrases" in messages


@pytest.mark.slow
def test_rows_that_run_the_tasks_have_a_second_table_of_them(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    task = {"metric": "accuracy", "unit": "percent", "n": 200, "of": 872, "chance": 50, "truncated": 0, "before": 66.0,
            "before_ci95": 6.6, "after": 51.5, "after_ci95": 6.8}  # fmt: skip
    (clone / "abilities.json").write_text(json.dumps({"tasks": {"sentiment": task}, "sessions": {}}))
    command, needs = "mkdir -p results && cp abilities.json results/", "[abilities.json, metrics/evaluate.json]"
    stage = f"  report: {{cmd: {command}, deps: {needs}, outs: [results/abilities.json]}}\n"
    (clone / "dvc.yaml").write_text(DAG + stage)
    commit(clone, "with a task")
    file = clone / "table.yaml"
    for last, tables in (("report", 1), ("evaluate", 0)):
        file.write_text(f"stage: {last}\nseeds: [0]\nseed_params: [train.seed]\nrows:\n  {last}: []\n")
        monkeypatch.setattr(sys, "argv", ["table", str(file)])
        table.main()
        printed = capfd.readouterr().out
        assert printed.count("| abilities, before -> after | seeds | sentiment, % (N 200) |") == tables
        assert printed.count("| report | 1 | 66.0 -> 51.5 ± 6.8 |") == tables


@pytest.mark.slow
def test_the_users_facts_are_in_no_commit_where_git_ignores_them(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """README says so: keep own facts where git does not look, and DVC adds them to nothing."""
    (clone / ".gitignore").write_text("/own/\n")
    commit(clone, "ignored")
    for path in ("own/facts.csv", "seen.csv"):
        (clone / path).parent.mkdir(exist_ok=True)
        (clone / path).write_text("prompt,target_new\n")
        dvc(clone, "exp", "run", "-S", f"own.path={path}", "--name", Path(path).parts[0].removesuffix(".csv"))
        assert path not in git(clone, "diff", "--cached", "--name-only").split()
    files = {name: git(clone, "ls-tree", "-r", "--name-only", *refs) for name, refs in experiments(clone).items()}
    assert "own/facts.csv" not in files["own"]
    assert "seen.csv" in files["seen"]
