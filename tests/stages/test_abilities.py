"""Stage `abilities` on a tiny random model: the embedded tasks, the eight on the real files, checkpoints, the cache."""

import csv
import json
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lib.abilities.measure import Measurer
from lib.core.files import write_json
from lib.core.records import Ability, Fact, Paraphrase
from lib.core.tables import read, write
from tests.helpers.ability_stage import run_tasks, write_edit, write_inputs, write_request

EMBEDDED = ["perplexity", "pool_recall", "world_yes_no", "world_four_choice"]
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What the stages before leave: tables, a base model, and an edit of one matrix."""
    write_inputs(tmp_path)
    return tmp_path


@pytest.fixture
def run(project: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the stage with these settings and gives its metrics."""
    return partial(run_tasks, project, monkeypatch)


def test_the_embedded_tasks_are_measured_before_and_after(run: Run, project: Path) -> None:
    figures = run(EMBEDDED, limit=5)
    assert list(figures["tasks"]) == sorted(EMBEDDED)
    assert {name: (task["n"], task["of"]) for name, task in figures["tasks"].items()} == {
        "perplexity": (5, 6),
        "pool_recall": (5, 12),
        "world_yes_no": (5, 8),
        "world_four_choice": (5, 12),
    }
    assert [figures["tasks"][name]["chance"] for name in EMBEDDED] == [None, 0, 50, 25]
    assert figures["tasks"]["perplexity"]["before"] != figures["tasks"]["perplexity"]["after"]
    assert figures["sessions"] == {}
    assert figures["not_measured"] == {}
    rows = read(project / "abilities.parquet", Ability)
    assert len(rows) == 2 * 4 * 5
    assert {(row.session, row.when) for row in rows} == {(0, "before"), (0, "after")}


def test_every_figure_can_be_computed_from_the_rows(run: Run, project: Path) -> None:
    tasks = run(EMBEDDED)["tasks"]
    rows = pl.read_parquet(project / "abilities.parquet")
    for when in ("before", "after"):
        for name in EMBEDDED[1:]:
            values = rows.filter((pl.col("task") == name) & (pl.col("when") == when))["value"]
            mean = values.mean()
            assert isinstance(mean, float)
            assert tasks[name][when] == pytest.approx(100 * mean, abs=1e-3)
            interval = 100 * 1.96 * (values.std(ddof=0) or 0) / len(values) ** 0.5
            assert tasks[name][f"{when}_ci95"] == pytest.approx(interval, abs=1e-3)
        parts = rows.filter((pl.col("task") == "perplexity") & (pl.col("when") == when))["parts"].to_list()
        nll, predicted, tokens = (sum(column) for column in zip(*parts, strict=True))
        assert tasks["perplexity"][when] == pytest.approx(2.718281828 ** (nll / predicted), rel=1e-4)
        assert tokens == predicted + 6


def test_published_perplexity_is_below_the_corrected_one(run: Run) -> None:
    corrected, published = (
        run(["perplexity"], mode=mode)["tasks"]["perplexity"] for mode in ("corrected", "published")
    )
    assert published["before"] < corrected["before"]


def test_the_harness_results_and_the_indices_are_kept(run: Run, project: Path) -> None:
    run(EMBEDDED, limit=5)
    before, after = (json.loads((project / f"results/{name}.json").read_text()) for name in ("before", "after-0"))
    assert set(before["results"]) == set(after["results"]) == set(EMBEDDED[1:])
    assert before["results"]["world_four_choice"]["acc_stderr,none"] >= 0
    indices = json.loads((project / "results/indices.json").read_text())
    used = {name: [row.index for row in _rows(project, name, "before")] for name in EMBEDDED[1:]}
    assert indices == used


def test_every_checkpoint_is_a_session_and_the_end_is_the_number_of_edits(run: Run, project: Path) -> None:
    for number in (1, 2):
        write_edit(project / "edit" / "checkpoints" / f"{number:08d}", 0.1 * number)
    figures = run(["perplexity"])
    assert list(figures["sessions"]) == ["1", "2"]
    sessions = {row.session for row in read(project / "abilities.parquet", Ability) if row.when == "after"}
    assert sessions == {1, 2, 3}
    values = [figures["sessions"][session]["perplexity"]["after"] for session in "12"] + [
        figures["tasks"]["perplexity"]["after"]
    ]
    assert len(set(values)) == 3
    assert run(["perplexity"], checkpoints=False) == figures | {"sessions": {}}
    assert {row.session for row in read(project / "abilities.parquet", Ability) if row.when == "after"} == {3}


def test_an_edit_with_a_scope_is_in_force_for_the_prompts_and_texts_near_its_facts_alone(
    run: Run, project: Path
) -> None:
    write_request(project, "The road to town 5 is long.")
    paraphrase = Paraphrase(request_id="1", kind="given", text="The city of S11 is", seed=0)
    write(project / "paraphrases.parquet", Paraphrase, [paraphrase])
    everywhere = run(EMBEDDED)
    before, edited = _values(project, "before"), _values(project, "after")
    figures = run(EMBEDDED, scope={"encoder": "hashing", "threshold": 0.99})
    after = _values(project, "after")
    inside = {("perplexity", 5), ("pool_recall", 11), ("world_four_choice", 11)}
    assert after == {key: edited[key] if key in inside else before[key] for key in after}
    assert [key for key in inside if before[key] == edited[key]] == [("pool_recall", 11)]  # a guess, wrong either way
    counts = {name: task["in_scope"] for name, task in figures["tasks"].items()}
    assert counts == {"perplexity": 1, "pool_recall": 1, "world_four_choice": 1, "world_yes_no": 0}
    assert not any("in_scope" in task for task in everywhere["tasks"].values())


def _values(project: Path, when: str) -> dict[tuple[str, int], Any]:
    """By task and example what was measured of it, but for rounding, since other prompts share the passes."""
    rows = [row for row in read(project / "abilities.parquet", Ability) if row.when == when]
    numbers = {(row.task, row.index): (row.answer, row.value, row.parts) for row in rows}
    return {key: pytest.approx(value) if isinstance(value, float) else value for key, value in numbers.items()}


def test_figures_before_the_edit_are_found_again_and_the_rest_is_the_same(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: list[str] = []
    measure = Measurer.run

    def counted(self: Measurer, model: Any, tokenizer: Any, when: Any, *rest: Any) -> Any:
        times.append(when)
        return measure(self, model, tokenizer, when, *rest)

    monkeypatch.setattr(Measurer, "run", counted)
    first, rows = run(EMBEDDED), (project / "abilities.parquet").read_bytes()
    second = run(EMBEDDED)
    assert times == ["before", "after", "after"]
    assert first == second
    assert rows == (project / "abilities.parquet").read_bytes()
    run(EMBEDDED, seed=1)
    assert times == ["before", "after", "after", "before", "after"]


def test_a_pool_without_answers_to_choose_from_is_said_not_hidden(run: Run, project: Path) -> None:
    write(project / "pool.parquet", Fact, [])
    figures = run(EMBEDDED)
    assert list(figures["tasks"]) == ["perplexity"]
    assert set(figures["not_measured"]) == set(EMBEDDED[1:])
    assert "0 facts" in figures["not_measured"]["pool_recall"]


def test_single_edits_leave_nothing_to_measure_after(run: Run, project: Path) -> None:
    shutil.rmtree(project / "edit")
    write_json(project / "edit" / "edit.json", {"protocol": "single"})
    figures = run(["perplexity"])
    assert "after" not in figures["tasks"]["perplexity"]
    assert figures["not_measured"] == {"after": "protocol.kind=single keeps no edit"}


COUNTS = {
    "reasoning": 1319,
    "nli": 277,
    "open_qa": 3610,
    "closed_qa": 3270,
    "dialogue": 886,
    "summarization": 818,
    "ner": 4 * 3453,
    "sentiment": 872,
}


@pytest.mark.data
@pytest.mark.parametrize(("mode", "limit"), [("corrected", 50), ("published", 10)])
@pytest.mark.slow
def test_the_eight_tasks_run_on_the_real_files(run: Run, project: Path, real_data: Path, mode: str, limit: int) -> None:
    folder = real_data / "abilities"
    began = time.process_time()
    figures = run(["eight"], limit=limit, folder=str(folder), mode=mode)
    assert time.process_time() - began < 60
    counts = COUNTS | ({"ner": 4 * 3684} if mode == "published" else {})  # with the marks between articles
    assert {name: task["of"] for name, task in figures["tasks"].items()} == counts
    assert {task["n"] for task in figures["tasks"].values()} == {limit}
    assert all(0 <= task[when] <= 100 for task in figures["tasks"].values() for when in ("before", "after"))
    for name, gold in _gold(folder, mode).items():
        rows = _rows(project, name, "after")
        assert [row.gold for row in rows] == [gold[row.index].strip() for row in rows], name


def _rows(project: Path, task: str, when: str) -> list[Ability]:
    """The rows of a task's first metric."""
    rows = [row for row in read(project / "abilities.parquet", Ability) if (row.task, row.when) == (task, when)]
    return [row for row in rows if row.metric == rows[0].metric]


def _gold(folder: Path, mode: str) -> dict[str, list[str]]:
    """The gold answers of all examples, read another way than the project does."""

    def lines(name: str) -> list[Any]:
        return [json.loads(line) for line in (folder / name).read_text().splitlines()]

    with (folder / "rte_dev.tsv").open(newline="") as stream:
        rte = [row[2] for row in csv.reader(stream, delimiter="\t")][1:]
    return {
        "reasoning": [row["answer"].split("#### ")[1] for row in lines("gsm8k_test.jsonl")],
        "nli": ["True" if label == "0" else "False" for label in rte],
        "open_qa": [json.dumps(row["answer"], ensure_ascii=False) for row in lines("nq_test_with_passages.jsonl")],
        "closed_qa": ["yes" if row["answer"] else "no" for row in lines("boolq_dev.jsonl")],
        "dialogue": [row["answers"] for row in lines("mutual_dev.jsonl")],
        "summarization": [row["summary"] for row in json.loads((folder / "samsum_test.json").read_text())],
        "sentiment": [
            ("negative", "positive")[int(row["label"])] for row in json.loads((folder / "sst2_dev.json").read_text())
        ],
    } | ({"ner": _entities(folder / "conll2003_test.txt")} if mode == "corrected" else {})


def _entities(path: Path) -> list[str]:
    """Entities by sentence and type; in this file every entity begins with B-."""
    documents = []
    for block in path.read_text().split("\n\n"):
        rows = [line.split() for line in block.strip().splitlines()]
        if not rows or rows[0][0] == "-DOCSTART-":
            continue
        for kind in ("PER", "LOC", "ORG", "MISC"):
            names: list[list[str]] = []
            for word, *_, tag in rows:
                if tag == f"B-{kind}":
                    names.append([word])
                elif tag == f"I-{kind}":
                    names[-1].append(word)
            documents.append(json.dumps([" ".join(name) for name in names], ensure_ascii=False))
    return documents
