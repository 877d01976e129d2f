"""Stages `evaluate` and `report`, from tables to metrics and page, as their command lines say."""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import save_file

from lib.core.errors import InputError
from lib.core.records import (
    Divergence,
    Generation,
    Kind,
    LocalityPrompt,
    Paraphrase,
    Reject,
    Request,
    Score,
    TextNll,
    UneditedFact,
)
from lib.core.tables import write
from lib.metrics import consistency
from stages import evaluate, report
from tests.helpers.datasets import dataset_preset
from tests.helpers.stages import run_main

KINDS: dict[Kind, int] = {"efficacy": 1, "generalization": 2, "locality": 3}


def request(number: int, **changed: Any) -> Request:
    values: dict[str, Any] = {"request_id": f"edit {number}", "dataset": "own", "subject": None, "relation": "color"}
    values |= {"prompt": f"Thing {number} is", "template": None, "target_new": "red", "target_true": "blue"}
    values |= {"locality": (LocalityPrompt(prompt="Grass is", target="green"),)}
    return Request(**(values | changed))


def scores(edits: list[Request], took: set[str], kinds: Mapping[Kind, int], session: int = 0) -> Iterator[Score]:
    """Before, the true object is ahead everywhere; after, the new one is where the edit took, locality aside.

    Half of the tokens of what is ahead are the argmax, so that no other measure equals success.
    """
    for edit in edits:
        for when in ("before", "after"):
            for kind, prompts in kinds.items():
                new_ahead = when == "after" and kind != "locality" and edit.request_id in took
                for role in ("new", "true") if edit.target_true or kind == "locality" else ("new",):
                    ahead = (role == "new") == new_ahead
                    for index in range(prompts):
                        yield Score(
                            request_id=edit.request_id, session=session if when == "after" else 0, when=when, kind=kind,
                            prompt_index=index, role=role,
                            prompt="p", target="t", nll=0.5 if ahead else 4.0, tokens=2, correct=1 if ahead else 0,
                            argmax=(1, 2),
                        )  # fmt: skip


def text_of(edit: Request, kind: Any, when: Any, text: str, session: int = 0) -> Generation:
    """What a model writes after the edit's own prompt."""
    decoding: Any = "sampled" if kind == "generation" else "greedy"
    return Generation(
        request_id=edit.request_id, session=session, when=when, kind=kind, prompt_index=0, decoding=decoding,
        prompt=edit.prompt, text=text, seed=None, truncated=False,
    )  # fmt: skip


class Project:
    """The files that the two stages read, in a folder of their own."""

    def __init__(self, root: Path, edits: list[Request], rows: Iterator[Score], similarity: float | None) -> None:
        self.root = root
        write(root / "requests.parquet", Request, edits)
        write(root / "scores.parquet", Score, rows)
        write(root / "neighbors.parquet", UneditedFact, [
            UneditedFact(request_id=edit.request_id, fact_id="f", rank=0, similarity=similarity, prompt="p", target="t")
            for edit in edits
        ])  # fmt: skip
        write(root / "generations.parquet", Generation, [
            text_of(edit, kind, when, f" red, said {when}" if when == "after" and edit is edits[0] else f" said {when}")
            for edit in edits for when in ("before", "after") for kind in ("efficacy", "generalization", "generation")
        ])  # fmt: skip
        write(root / "divergences.parquet", Divergence, [
            Divergence(request_id=edit.request_id, session=0, prompt_index=index, prompt="p", kl=float(index))
            for edit in edits for index in range(2)
        ])  # fmt: skip
        write(root / "text_nll.parquet", TextNll, [
            TextNll(when="before", index=0, nll=10.0, tokens=10), TextNll(when="after", index=0, nll=11.0, tokens=10)
        ])  # fmt: skip
        consistency.write(root / "frequencies.json", consistency.fit(["red said", "thing", "after"]))
        write(root / "rejects.parquet", Reject, [Reject(file="own.csv", line=7, field="prompt", reason="empty")])
        write(root / "paraphrases.parquet", Paraphrase, [
            Paraphrase(request_id=edit.request_id, kind="fewshot", text=f"They say {edit.prompt}", seed=0)
            for edit in edits
        ])  # fmt: skip
        (root / "sources.json").write_text("{}")
        (root / "results").mkdir()
        (root / "usage").mkdir()
        (root / "usage/edit.json").write_text('{"seconds": 3.0, "peak_memory_mib": 55123}')
        (root / "edit.json").write_text("{}")
        (root / "results/edit.json").write_text('{"change": {"rank": 77123}}')
        (root / "weights.csv").write_text("edits,path,frobenius\n")
        save_file({}, root / "maps.safetensors")
        (root / "loss.csv").write_text("step,epoch,loss,lr\n1,0.5,2.0,0.1\n2,1.0,1.0,0.1\n")

    def evaluate(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        self._run(monkeypatch, evaluate, "scores.parquet", "generations.parquet", "divergences.parquet",
                  "frequencies.json", "requests.parquet", "neighbors.parquet", "text_nll.parquet",
                  metrics="evaluate.json", results="results/evaluate.json", plots="plots")  # fmt: skip
        return json.loads((self.root / "evaluate.json").read_text())

    def details(self) -> Any:
        """What stage evaluate writes beside the headline numbers."""
        return json.loads((self.root / "results/evaluate.json").read_text())

    def report(self, monkeypatch: pytest.MonkeyPatch) -> str:
        for path in self.root.glob("*.parquet"):
            path.unlink() if path.stem not in (
                "rejects",
                "requests",
                "paraphrases",
                "neighbors",
            ) else None  # the page is made from what evaluate wrote
        self._run(monkeypatch, report, "rejects.parquet", "requests.parquet", "paraphrases.parquet",
                  "neighbors.parquet", "sources.json", "loss.csv", "weights.csv",
                  "maps.safetensors", metrics="edit.json", results="results/edit.json",
                  evaluation="results/evaluate.json", plots="plots", usages="usage", report="report")  # fmt: skip
        return (self.root / "report" / "index.html").read_text()

    def _run(self, monkeypatch: pytest.MonkeyPatch, stage: Any, *files: str, **options: str) -> None:
        named = {Path(file).stem: file for file in files} | options
        run_main(stage, {name.replace("_", "-"): self.root / file for name, file in named.items()})


@pytest.fixture(autouse=True)
def by_success(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dataset's headline is success, whatever params.yaml says."""
    preset = dataset_preset("own", "success")
    monkeypatch.setattr(evaluate, "preset", lambda *_: preset)


def test_headline_metrics_are_percentages_before_and_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edits = [request(number) for number in range(4)]
    metrics = Project(tmp_path, edits, scores(edits, {"edit 0", "edit 1", "edit 2"}, KINDS), None).evaluate(monkeypatch)
    assert (metrics["n"], metrics["efficacy"], metrics["generalization"], metrics["locality"]) == (4, 75.0, 75.0, 100.0)
    assert metrics["score"] == round(3 / (2 / 75 + 1 / 100), 4)
    assert metrics["efficacy_ci95"] == 42.4352  # 1.96 * sqrt(3/16) / 2, in percent
    assert (metrics["before"]["score"], metrics["before"]["locality"]) == (0.0, 100.0)


def test_facts_without_paraphrases_or_old_answers_have_null_where_nothing_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edits = [request(0), request(1, target_true=None)]
    project = Project(tmp_path, edits, scores(edits, {"edit 0", "edit 1"}, {"efficacy": 1}), None)
    metrics = project.evaluate(monkeypatch)
    assert (metrics["n"], metrics["efficacy"]) == (2, 100.0)
    assert metrics["generalization"] is metrics["locality_ci95"] is metrics["score"] is None
    details = project.details()
    assert details["after"]["efficacy"]["success"]["n"] == 1
    assert details["after"]["efficacy"]["accuracy"]["n"] == 2
    page = project.report(monkeypatch)
    assert "asked in other words: not measured" not in page  # its texts were written, though nothing was scored
    assert "not measured on paraphrases" in page
    assert "77,123" in page


def test_texts_and_divergences_are_measured_beside_the_headline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edits = [request(0, references=("Red thing, said.",)), request(1)]
    project = Project(tmp_path, edits, scores(edits, {"edit 0"}, KINDS), None)
    metrics = project.evaluate(monkeypatch)
    assert (metrics["exact_match"], metrics["exact_match_paraphrases"], metrics["unchanged"]) == (50, 50, 100)
    assert (metrics["before"]["exact_match"], metrics["before"]["exact_match_paraphrases"]) == (0, 0)
    assert metrics["perplexity_ratio"] == 1.1052  # exp(0.1)
    assert (metrics["kl"], metrics["counts"]["perplexity_ratio"]) == (0.5, 1)
    assert not {"fluency", "perplexity"} & {*metrics}
    details = project.details()
    assert details["after"]["generation"]["consistency"]["n"] == 1
    kl, matches = details["after"]["locality"]["kl"], details["after"]["efficacy"]["exact_match"]
    assert (kl["mean"], kl["ci95"], kl["n"]) == (0.5, 0, 2)
    assert (matches["mean"], round(matches["ci95"], 2), matches["n"]) == (50, 69.3, 2)
    fluency, consistency_of = ({when: details[when]["generation"][name] for when in ("before", "after")}
                               for name in ("fluency", "consistency"))  # fmt: skip
    assert fluency["after"]["n"] == fluency["before"]["n"] == 2
    assert fluency["after"]["mean"] > fluency["before"]["mean"] > 0
    assert consistency_of["after"]["mean"] > consistency_of["before"]["mean"] > 0
    assert details["before"]["locality"]["kl"] is None
    assert details["before"]["efficacy"]["exact_match"]["mean"] == 0


def test_the_rows_of_every_plot_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edits = [request(number) for number in range(2)]
    Project(tmp_path, edits, scores(edits, {"edit 0"}, KINDS), 0.5).evaluate(monkeypatch)
    rows = {path.stem: json.loads(path.read_text()).get("rows") for path in (tmp_path / "plots").iterdir()}
    assert {name: len(plot_rows) for name, plot_rows in rows.items() if plot_rows is not None} == {
        "scores": 15, "relations": 1, "locality_by_similarity": 2, "nll_shift": 2, "retention": 0, "kl": 0
    }  # fmt: skip
    assert rows["nll_shift"][1] == {"request_id": "edit 1", "before": -1.75, "after": -1.75}


def test_scores_that_lack_an_edit_stop_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edits = [request(number) for number in range(3)]
    project = Project(tmp_path, edits, scores(edits[:2], set(), KINDS), None)
    with pytest.raises(ValueError, match="1 edits without a score before the edit, the first is 'edit 2'"):
        project.evaluate(monkeypatch)


def test_the_page_shows_the_same_pictures_as_are_written_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edits = [request(number) for number in range(3)]
    project = Project(tmp_path, edits, scores(edits, {"edit 0"}, KINDS), 0.5)
    project.evaluate(monkeypatch)
    page = project.report(monkeypatch)
    written = {path.stem: path.read_text() for path in (tmp_path / "report").glob("*.svg")}
    assert set(written) == {"scores", "locality", "relations", "training_loss"}
    contents = re.findall(r"<svg[^>]*>(.*?)</svg>", page, re.DOTALL)
    assert len(contents) == len(written)
    assert all(sum(content in file for file in written.values()) == 1 for content in contents)
    assert all(part in page for part in ("writes 1 of 3 corrected facts", "said before", "said after", "own.csv"))


def test_the_page_of_a_sequential_run_has_every_edit_once_as_it_is_after_the_last_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edits = [request(number) for number in range(2)]
    earlier = (row for row in scores(edits, {"edit 1"}, KINDS, session=1) if row.when == "after")
    rows = chain(scores(edits, {"edit 0"}, KINDS, session=2), earlier)
    project = Project(tmp_path, edits, rows, None)
    write(tmp_path / "generations.parquet", Generation, [
        text_of(edit, "efficacy", when, f" {when} {session}", session)
        for when, session in (("before", 0), ("after", 2), ("after", 1)) for edit in edits
    ])  # fmt: skip
    project.evaluate(monkeypatch)
    page = project.report(monkeypatch)
    assert page.count("data-state=") == 2
    assert page.count("after 2<") == 2
    assert "after 1<" not in page
    assert (page.count("✓ took"), page.count("✗ another answer")) == (0, 2)


def test_an_editor_without_a_training_curve_is_reported_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edits = [request(0)]
    project = Project(tmp_path, edits, scores(edits, {"edit 0"}, KINDS), None)
    project.evaluate(monkeypatch)
    for absent in (lambda: (tmp_path / "loss.csv").write_text("step,epoch,loss,lr\n"), (tmp_path / "loss.csv").unlink):
        absent()
        assert "This editor keeps no training curve." in project.report(monkeypatch)
        assert not (tmp_path / "report" / "training_loss.svg").exists()


@pytest.mark.parametrize(
    ("stage", "file"),
    [("evaluate", "scores.parquet"), ("evaluate", "generations.parquet"), ("report", "paraphrases.parquet"),
     ("report", "weights.csv"), ("report", "maps.safetensors")],
)  # fmt: skip
def test_a_damaged_table_stops_the_stage_with_its_name(
    stage: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edits = [request(0)]
    project = Project(tmp_path, edits, scores(edits, {"edit 0"}, KINDS), None)
    if stage == "report":
        project.evaluate(monkeypatch)
    content = (tmp_path / file).read_bytes()
    is_csv = file.endswith(".csv")
    (tmp_path / file).write_bytes(content + b"1,a,2,3,4\n" if is_csv else content[:4] + b"\xff" * 200 + content[-4:])
    with pytest.raises(InputError, match=rf"{re.escape(str(tmp_path / file))}: wanted .*found a damaged file"):
        getattr(project, stage)(monkeypatch)
