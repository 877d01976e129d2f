"""A row that was run becomes a line of the leaderboard: its headline over seeds, and what its edits took."""

from typing import Any

import pytest

from lib.experiments import board
from lib.report.board_columns import TASKS
from lib.report.leaderboard import BoardFigure
from tests.helpers.imports import ROOT
from tests.helpers.pages import numbers

VALUES = {"model": "tiny", "dataset": "world", "editor": "memit", "protocol": {"kind": "sequential", "batch_size": 2}}


def test_a_line_has_mean_and_spread_over_seeds_their_mean_seconds_and_most_memory() -> None:
    usages = [{"seconds": 4.0, "peak_memory_mib": 512}, {"seconds": 6.0, "peak_memory_mib": 2048}]
    runs = {0: numbers(exact_match=92.0), 3: numbers(exact_match=94.0)}
    entry = board.entry("MEMIT", VALUES, runs, usages, commit="0123abc", command="again")
    assert (entry.group, entry.seeds) == (("tiny", "world", "sequential, batches of 2", 4), (0, 3))
    assert entry.figures["exact_match"] == BoardFigure(value=93.0, spread=2**0.5)
    assert (entry.seconds, entry.seconds_per_edit, entry.memory_gib, entry.verdict) == (5.0, 1.25, 2.0, "safe")


def test_what_an_earlier_run_had_searched_counts_among_the_seconds_of_the_edit() -> None:
    usages = [{"seconds": 4.0, "reused_seconds": 8.0, "peak_memory_mib": 512}]
    assert board.entry("MEMIT", VALUES, {0: numbers()}, usages, commit="0123abc", command="again").seconds == 12.0


def test_single_edits_have_the_seconds_that_making_them_took_without_those_of_their_scores() -> None:
    """The fault: rows of single edits said six seconds, the time that stage edit takes to do nothing; then nothing."""
    single = VALUES | {"protocol": {"kind": "single"}}
    usages = [{"seconds": 96.0, "editing_seconds": 24.0, "peak_memory_mib": 512}]
    entry = board.entry("MEMIT", single, {0: numbers()}, usages, commit="0123abc", command="again")
    assert (entry.protocol, entry.seconds, entry.seconds_per_edit, entry.memory_gib) == ("single", 24.0, 6.0, 0.5)


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


def _abilities(after: float | None) -> dict[str, Any]:
    about = {"metric": "acc", "n": 200, "of": 200, "unit": "percent", "chance": 25.0, "truncated": 0, "source": "pool"}
    figures = {"before": 60.0, "before_ci95": 6.8} | ({} if after is None else {"after": after, "after_ci95": 6.9})
    perplexity = about | {"metric": "perplexity", "unit": "perplexity", "before": 20.0, "before_ci95": 1.0}
    return {"tasks": {"world_four_choice": about | figures, "perplexity": perplexity}}


def test_tasks_are_of_the_edited_model_with_the_interval_over_their_examples() -> None:
    entry = board.entry("MEMIT", VALUES, {0: numbers()}, [], [_abilities(55.5)], commit="0123abc", command="again")
    assert entry.figures["abilities.world_four_choice"] == BoardFigure(value=55.5, spread=6.9)
    assert "abilities.perplexity" not in entry.figures


def test_tasks_of_several_seeds_have_their_mean_and_standard_deviation() -> None:
    runs, abilities = {0: numbers(), 1: numbers()}, [_abilities(55.0), _abilities(57.0)]
    entry = board.entry("MEMIT", VALUES, runs, [], abilities, commit="0123abc", command="again")
    assert entry.figures["abilities.world_four_choice"] == BoardFigure(value=56.0, spread=2**0.5)


def test_the_unedited_row_has_the_tasks_of_the_model_as_it_is() -> None:
    unedited = VALUES | {"editor": "none"}
    entry = board.entry("unedited", unedited, {0: numbers()}, [], [_abilities(None)], commit="0123abc", command="again")
    assert entry.figures["abilities.world_four_choice"] == BoardFigure(value=60.0, spread=6.8)


def test_an_editor_whose_edits_are_not_stored_has_no_tasks_after_them() -> None:
    entry = board.entry("MEMIT", VALUES, {0: numbers()}, [], [_abilities(None)], commit="0123abc", command="again")
    assert not any(name.startswith("abilities") for name in entry.figures)


def test_of_a_stream_it_says_what_is_retained_of_the_edits_and_of_the_oldest() -> None:
    efficacy = {"immediate": 90.0, "final": 70.0, "oldest_immediate": 95.0, "oldest_final": 40.0}
    stream = {**numbers(), "retention": {"efficacy": efficacy}}
    entry = board.entry("MEMIT", VALUES, {0: stream}, [], commit="0123abc", command="again")
    retained = {name: figure.value for name, figure in entry.figures.items() if name.startswith("retention")}
    assert retained == {
        "retention.efficacy.immediate": 90.0,
        "retention.efficacy.oldest_immediate": 95.0,
        "retention.efficacy.oldest_final": 40.0,
    }


def test_every_task_in_percent_has_a_column() -> None:
    presets = {path.stem for path in (ROOT / "configs/abilities").glob("*.yaml") if "unit: percent" in path.read_text()}
    assert presets == {*TASKS}
