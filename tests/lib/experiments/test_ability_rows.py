"""General abilities of a table's rows, under the headline's table."""

from typing import Any

from lib.experiments.ability_rows import table


def run(after: float | None, n: int = 200, **more: dict[str, Any]) -> dict[str, Any]:
    """results/abilities.json of two tasks."""
    entry = {"metric": "accuracy", "n": n, "of": 872, "chance": 50, "truncated": 0, "before": 66.0, "before_ci95": 6.6}
    ends = {} if after is None else {"after": after, "after_ci95": 6.8}
    perplexity = {**entry, "before": 22.0, "before_ci95": 1.5} | (
        {} if after is None else {"after": 44.0, "after_ci95": 3.0}
    )
    tasks = {"sentiment": {**entry, **ends, "unit": "percent"}, "perplexity": {**perplexity, "unit": "perplexity"}}
    return {"tasks": tasks | more}


def test_every_task_has_a_column_with_its_unit_and_n_and_a_cell_has_before_after_and_interval() -> None:
    lines = table({"ROME": [run(51.25)]}).splitlines()
    assert lines[0] == "| abilities, before -> after | seeds | sentiment, % (N 200) | perplexity (N 200) |"
    assert lines[2:] == ["| ROME | 1 | 66.0 -> 51.2 ± 6.8 | 22.0 -> 44.0 ± 3.0 |"]


def test_seeds_are_averaged_and_what_was_not_measured_is_said() -> None:
    alone = run(40.0, n=100)
    del alone["tasks"]["perplexity"]
    lines = table({"two": [run(50.0), run(54.0)], "one": [alone], "single": [run(None)], "failed": []}).splitlines()
    assert lines[0] == "| abilities, before -> after | seeds | sentiment, % (N 100 to 200) | perplexity (N 200) |"
    assert lines[2:] == [
        f"| two | 2 | 66.0 -> 52.0 ± {8**0.5:.1f} | 22.0 -> 44.0 ± 0.0 |",
        "| one | 1 | 66.0 -> 40.0 ± 6.8 | not measured |",
        "| single | 1 | 66.0 -> not measured | 22.0 -> not measured |",
        "| failed | 0 | not measured | not measured |",
    ]


def test_rows_without_tasks_have_no_table() -> None:
    assert table({"ROME": [{"tasks": {}}], "failed": []}) == ""
