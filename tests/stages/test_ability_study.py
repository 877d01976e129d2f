"""What stage `abilities` leaves of the tasks that a small model can do, as a study prints and draws it."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lib.experiments.curves import Outcome, pictures, points, table
from tests.helpers.ability_stage import run_tasks, write_edit, write_inputs
from tests.helpers.drawings import outside, texts

SAMPLES: dict[str, list[dict[str, Any]]] = {
    "sst2_dev.json": [{"sentence": f"film {number} is good", "label": number % 2} for number in range(6)],
    "boolq_dev.jsonl": [{"question": "is it far", "passage": f"Town {n}.", "answer": n % 2 == 0} for n in range(6)],
    "nq_test_with_passages.jsonl": [
        {"question": f"who is {number}", "output": ["A passage."], "answer": ["Ann"]} for number in range(6)
    ],
    "samsum_test.json": [
        {"id": str(number), "dialogue": "A: hi B: hi", "summary": "They meet."} for number in range(6)
    ],
}


def test_a_study_prints_and_draws_the_tasks_that_a_small_model_can_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_inputs(tmp_path)
    for name, rows in SAMPLES.items():
        lines = json.dumps(rows) if name.endswith(".json") else "\n".join(json.dumps(row) for row in rows)
        (tmp_path / name).write_text(lines)
    rte = "".join(
        f"{number}\tIt rains.\tIt is wet.\t{('entailment', 'not_entailment')[number % 2]}\n" for number in range(6)
    )
    (tmp_path / "rte_dev.tsv").write_text(f"index\tsentence1\tsentence2\tlabel\n{rte}")
    write_edit(tmp_path / "edit" / "checkpoints" / "00000001", 0.1)
    names = [
        "perplexity",
        "pool_recall",
        "world_four_choice",
        "sentiment",
        "nli",
        "closed_qa",
        "open_qa",
        "summarization",
    ]
    figures = run_tasks(tmp_path, monkeypatch, names, folder=str(tmp_path))
    summary = {"success": {"mean": 50.0, "ci95": 1.0}}
    after = dict.fromkeys(("score", "efficacy", "generalization"), summary)
    evaluate = {"n": 3, "headline": "success", "after": after | {"locality": summary | {"kl": None}}}
    weights = pl.DataFrame({"edits": [3], "path": ["all"], "manhattan": [1.0], "frobenius": [1.0], "largest": [1.0]})
    outcome = Outcome(evaluate=evaluate, retention=[], kl=[], abilities=figures, weights=weights)
    curves = points({"dense": [outcome]})
    of_tasks = curves.filter(pl.col("group") == "abilities")
    edits = {str(name): rows["edits"].to_list() for (name,), rows in of_tasks.group_by(["measure"])}
    assert edits == {name: [0, 1, 3] for name in names}
    assert dict(of_tasks.select("measure", "n").iter_rows()) == {
        name: {"pool_recall": 12, "world_four_choice": 12}.get(name, 6) for name in names
    }
    assert "| perplexity | pool recall, % | " in table(curves)
    drawing = pictures(curves)["abilities"]
    assert outside(drawing) == []
    assert texts(drawing).count("dense") == of_tasks.filter(pl.col("value") != 0)["measure"].n_unique()
