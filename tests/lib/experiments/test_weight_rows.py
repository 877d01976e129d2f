"""RECT's table 1: what edits change in the weights, beside the published values."""

import polars as pl

from lib.experiments.weight_rows import of_single_edits, table
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
    assert lines[0].startswith("| row | edits | draws | Manhattan norm of ΔW | changed by over 7.7 % |")
    assert lines[2] == "| ROME | 1 | 2 | 950.0 ± 70.7 | 20.0 ± 0.0 | 10.0 ± 0.0 | 9079.2 / 20.0 / 10.0 |"
    assert lines[4].startswith("| ROME | 10 | 2 | 9500.0 ± 707.1 |")
    assert [line.split("|")[1:4] for line in lines[5:]] == [[" failed ", " not measured ", " not measured "]]


def test_single_edits_of_all_seeds_are_draws_of_one_edit() -> None:
    def seed(*norms: float) -> pl.DataFrame:
        rows = [
            {"request_id": str(norm), "manhattan": norm, "share_above_0.077": 1.0, "share_above_0.171": 0.5}
            for norm in norms
        ]
        return of_single_edits(pl.DataFrame(rows))

    lines = table({"ROME, alone": [seed(100.0, 200.0), seed(600.0)]}, WEIGHTS).splitlines()
    spread = (((200.0**2) + 100.0**2 + 300.0**2) / 2) ** 0.5
    assert lines[2:] == [
        f"| ROME, alone | 1 | 3 | 300.0 ± {spread:.1f} | 1.0 ± 0.0 | 0.5 ± 0.0 | 9079.2 / 20.0 / 10.0 |"
    ]
