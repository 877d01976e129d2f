"""A row that was run becomes a line of the leaderboard: its headline over seeds, and what its edits took."""

import pytest

from lib.experiments import board
from lib.report.leaderboard import BoardFigure
from tests.helpers.pages import numbers

VALUES = {"model": "tiny", "dataset": "world", "editor": "memit", "protocol": {"kind": "sequential", "batch_size": 2}}


def test_a_line_has_mean_and_spread_over_seeds_their_mean_seconds_and_most_memory() -> None:
    usages = [{"seconds": 4.0, "peak_memory_mib": 512}, {"seconds": 6.0, "peak_memory_mib": 2048}]
    runs = {0: numbers(exact_match=92.0), 3: numbers(exact_match=94.0)}
    entry = board.entry("MEMIT", VALUES, runs, usages, commit="0123abc", command="again")
    assert (entry.group, entry.seeds) == (("tiny", "world", "sequential, batches of 2", 4), (0, 3))
    assert entry.figures["exact_match"] == BoardFigure(value=93.0, spread=2**0.5)
    assert (entry.seconds, entry.seconds_per_edit, entry.memory_gib, entry.verdict) == (5.0, 1.25, 2.0, "safe")


def test_what_a_run_has_not_measured_is_no_figure() -> None:
    entry = board.entry("MEMIT", VALUES, {0: numbers(kl=None)}, [], commit="0123abc", command="again")
    assert "kl" not in entry.figures
    assert entry.figures["exact_match"].spread == 2.5
    assert (entry.seconds, entry.memory_gib) == (None, None)


@pytest.mark.parametrize(
    ("seconds", "written"), [(12.3456, 12.35), (903.5, 903.5), (1859.4, 1859.0), (12345.6, 12346.0)]
)
def test_seconds_have_the_digits_that_the_tables_show(seconds: float, written: float) -> None:
    usages = [{"seconds": seconds, "peak_memory_mib": 512}]
    assert board.entry("MEMIT", VALUES, {0: numbers()}, usages, commit="0123abc", command="again").seconds == written
