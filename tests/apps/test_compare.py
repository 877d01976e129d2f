"""`python -m apps.compare` reads two revisions of a DVC repository: the workspace, commits, branches, experiments."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.repo import Repo

from apps import compare
from lib.core.records import Divergence, Generation, Request, Score
from lib.core.tables import write
from lib.metrics import consistency
from tests.helpers.pages import numbers

N = 4


def leave(folder: Path, correct: int, dataset: str = "world") -> None:
    """What a run leaves: of the first `correct` edits the new object is said after the edit."""
    requests = [
        Request(
            request_id=f"{dataset}-{edit}",
            dataset=dataset,
            subject=None,
            relation=None,
            prompt="p",
            template=None,
            target_new="t",
            target_true=None,
        )
        for edit in range(N)
    ]
    rows = [
        Score(
            request_id=request.request_id,
            session=0,
            when=when,
            kind="efficacy",
            prompt_index=0,
            role="new",
            prompt="p",
            target="t",
            nll=1.0,
            tokens=1,
            correct=int(when == "after" and index < correct),
            argmax=(index,),
        )
        for when in ("before", "after")
        for index, request in enumerate(requests)
    ]
    write(folder / compare.REQUESTS, Request, requests)
    write(folder / compare.SCORES, Score, rows)


def leave_texts(folder: Path, matches: int) -> None:
    """What else a run leaves: the first `matches` edits' continuations begin with their new object."""
    rows = [
        Generation(
            request_id=f"world-{edit}", session=0, when="after", kind=kind, prompt_index=0, prompt="p", seed=None,
            truncated=False, decoding="greedy" if kind == "efficacy" else "sampled",
            text=" t" if edit < matches else " other words",
        )
        for edit in range(N) for kind in ("efficacy", "generation")
    ]  # fmt: skip
    moved = [Divergence(request_id=f"world-{edit}", session=0, prompt_index=0, prompt="p", kl=0.5) for edit in range(N)]
    write(folder / compare.GENERATIONS, Generation, rows)
    write(folder / compare.DIVERGENCES, Divergence, moved)
    consistency.write(folder / compare.FREQUENCIES, consistency.fit(["some words"]))


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path) -> None:
    with Repo(str(folder)) as repo:
        repo.add([str(folder / compare.REQUESTS), str(folder / compare.SCORES)])
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "run")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Branch `first` has 1 of 4 right, branch `elsewhere` other facts, an experiment 3, the workspace 4."""
    folder = tmp_path_factory.mktemp("repository")
    git(folder, "init", "-q", "-b", "first")
    git(folder, "config", "user.email", "a@b.c")
    git(folder, "config", "user.name", "t")
    Repo.init(str(folder)).close()
    leave(folder, 1)
    commit(folder)
    git(folder, "branch", "elsewhere")
    leave(folder, 3)
    with Repo(str(folder)) as repo:
        repo.add([str(folder / compare.SCORES)])
        repo.experiments.save(name="three-right")
    git(folder, "checkout", "-qf", "elsewhere")
    leave(folder, 2, dataset="other")
    commit(folder)
    git(folder, "checkout", "-qf", "first")
    leave(folder, 4)
    return folder


@pytest.fixture(autouse=True)
def _here(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "ROOT", repository)


def asked(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["compare", *arguments])
    compare.main()


@pytest.mark.parametrize(
    ("a", "b", "means"),
    [("first", "workspace", (25, 100)), ("HEAD", "three-right", (25, 75)), ("three-right", "workspace", (75, 100))],
)
def test_revisions_are_branches_commits_experiments_and_the_workspace(
    a: str, b: str, means: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    asked(monkeypatch, a, b, "--json", str(tmp_path / "found.json"), "--html", str(tmp_path / "made" / "found.html"))
    comparison = json.loads((tmp_path / "found.json").read_text())
    (row,) = (row for row in comparison["rows"] if row["measure"] == "accuracy")
    assert (comparison["a"], comparison["b"], comparison["n"]) == (a, b, N)
    assert (row["a"], row["b"]) == means
    assert (row["wins"], row["losses"]) == ((means[1] - means[0]) * N // 100, 0)
    printed = capsys.readouterr().out
    assert "The headlines are not compared, because not both runs have them. metrics/evaluate.json of" in printed
    assert f"\n|  | N | A: {a} | B: {b} |" in printed
    assert f"| efficacy accuracy | {N} | {means[0]}.00 | {means[1]}.00 |" in printed
    page = (tmp_path / "made" / "found.html").read_text()
    assert f"<h1>{a} against {b}</h1>" in page
    assert f'{means[0]}.0</td><td class="number">{means[1]}.0</td>' in page
    assert "Texts and KL are not compared, because not both runs have them. data/frequencies.json of" in printed


def test_texts_are_compared_where_both_runs_have_them(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    leave_texts(repository, 3)
    (repository / "metrics").mkdir()
    (repository / compare.EVALUATE).write_text(json.dumps(numbers(exact_match=75.0)))
    asked(monkeypatch, "workspace", "workspace", "--json", str(tmp_path / "found.json"))
    rows = {(row["kind"], row["measure"]): row for row in json.loads((tmp_path / "found.json").read_text())["rows"]}
    assert (rows["efficacy", "exact_match"]["a"], rows["locality", "kl"]["b"]) == (75, 0.5)
    assert rows["generation", "fluency"]["ties"] == N
    printed = capsys.readouterr().out
    assert "not compared" not in printed
    assert printed.startswith("| run | N | verdict | exact match |")
    assert "| A: workspace | 4 | did not take | 75.0 ± 2.5 |" in printed
    assert "| B: workspace | 4 | did not take | 75.0 ± 2.5 |" in printed
    for name in (compare.EVALUATE, compare.GENERATIONS, compare.DIVERGENCES, compare.FREQUENCIES):
        (repository / name).unlink()


def test_runs_on_other_facts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="4 edits in first only, 4 in elsewhere only"):
        asked(monkeypatch, "first", "elsewhere")


def test_a_revision_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"results/scores\.parquet of 'nonesuch'"):
        asked(monkeypatch, "first", "nonesuch")


def test_scores_that_are_not_in_the_cache_any_more_are_said_to_be_absent(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(repository, "tag", "gone", "first")
    cache = repository / ".dvc/cache"
    cache.rename(repository / ".dvc/moved")
    try:
        with pytest.raises(FileNotFoundError, match=r"results/scores\.parquet of 'gone'.*`dvc pull`, or run it again"):
            asked(monkeypatch, "gone", "workspace")
    finally:
        (repository / ".dvc/moved").rename(cache)


def test_scores_without_a_column_are_refused(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "SCORES", compare.REQUESTS)
    with pytest.raises(ValueError, match="found none of the name 'session'"):
        asked(monkeypatch, "first", "workspace")
