"""RECT's table 1: what edits change in the weights, beside the published values."""

import polars as pl

from lib.experiments.weight_rows import table
from lib.metrics.published import WEIGHTS


def weights(scale: float) -> pl.DataFrame:
    """A run of ten edits: of each number of edits the change of one matrix, then the total."""
    rows = [
        {"edits": edits, "path": path, "manhattan": scale * edits, "share_above_0.077": 20.0, "share_above_0.171": 10.0}
        for edits in range(1, 11)
        for path in ("layer.17", "all")
    ]
    return pl.DataFrame(rows)


def test_each_published_number_of_edits_has_a_line_with_the_mean_and_spread_over_draws() -> None:
    lines = table({"ROME": [weights(900.0), weights(1000.0)], "failed": []}, WEIGHTS).splitlines()
    assert lines[0].startswith("| row | edits | seeds | Manhattan norm of ΔW | changed by over 7.7 % |")
    assert lines[2] == "| ROME | 1 | 2 | 950.0 ± 70.7 | 20.0 ± 0.0 | 10.0 ± 0.0 | 9079.2 / 20.0 / 10.0 |"
    assert lines[4].startswith("| ROME | 10 | 2 | 9500.0 ± 707.1 |")
    assert lines[5] == "| ROME | 15 | 2 | not measured | not measured | not measured | 63247.5 / 72.8 / 52.2 |"
    assert lines[6].startswith("| failed | 1 | 0 | not measured |")
