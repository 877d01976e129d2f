"""What was trained on: counted over all edits, shown of some that are spread evenly."""

import polars as pl

from lib.report.training import training_set


def frames(edits: int) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    ids = [f"edit {number}" for number in range(edits)]
    requests = pl.DataFrame({"request_id": ids, "prompt": ids, "target_new": ["red"] * edits})
    paraphrases = pl.DataFrame({"request_id": ids * 2, "kind": ["given"] * edits + ["rules"] * edits, "text": ids * 2})
    neighbors = pl.DataFrame({"request_id": ids, "prompt": [f"beside {name}" for name in ids], "target": ids})
    return requests, paraphrases.tail(2 * edits - 1), neighbors


def test_all_are_counted_by_how_they_came_about_and_the_shown_edits_are_spread_evenly() -> None:
    training = training_set(*frames(40), limit=10)
    assert training.paraphrases == {"by rules of grammar": 40, "given with the facts": 39}
    assert (training.neighbors, training.edits) == (40, 40)
    assert [edit.prompt for edit in training.sample] == [f"edit {number}" for number in range(0, 40, 4)]
    assert training.sample[0].paraphrases == [("edit 0", "by rules of grammar")]
    assert training.sample[1].paraphrases == [("edit 4", "given with the facts"), ("edit 4", "by rules of grammar")]
    assert training.sample[1].neighbors == [("beside edit 4", "edit 4")]


def test_edits_without_either_are_left_out() -> None:
    requests, paraphrases, neighbors = frames(3)
    only_neighbors = training_set(requests, paraphrases.clear(), neighbors.head(1), limit=10)
    assert (only_neighbors.edits, [edit.prompt for edit in only_neighbors.sample]) == (1, ["edit 0"])
    assert training_set(requests, paraphrases.clear(), neighbors.clear(), limit=10).sample == []
