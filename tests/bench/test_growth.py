"""The table, the exponents and the picture of stages at growing numbers of edits, on rows of known growth."""

import pytest

from bench.growth import STAGES, Row, exponent, exponent_beyond_start, picture, table


def test_the_exponent_of_a_power_is_that_power() -> None:
    assert exponent(_row(100, 5.0), _row(1000, 50.0)) == pytest.approx(1.0)
    assert exponent(_row(100, 5.0), _row(200, 20.0)) == pytest.approx(2.0)


@pytest.mark.parametrize("power", [0.5, 1.0, 1.5])
def test_what_it_costs_to_begin_does_not_hide_the_growth(power: float) -> None:
    rows = [_row(edits, 30 + 0.1 * edits**power) for edits in (100, 1000, 10_000)]
    assert exponent(rows[1], rows[2]) < power
    assert exponent_beyond_start(*rows) == pytest.approx(power)


def test_seconds_that_do_not_grow_have_no_exponent_beyond_the_start() -> None:
    assert exponent_beyond_start(_row(100, 7.0), _row(1000, 7.5), _row(10_000, 12.0)) is None
    assert exponent_beyond_start(_row(100, 7.0), _row(1000, 9.0), _row(10_000, 8.0)) is None


def test_the_table_has_a_line_for_each_stage_and_size_smallest_first() -> None:
    lines = list(table([_row(10_000, 1007.0), _row(100, 17.0), _row(1000, 107.0)]))
    assert lines == [
        "| edit | 100 | 18.0 | 17.0 | 170.0 | 600 |  |  |",
        "| edit | 1,000 | 108.0 | 107.0 | 107.0 | 600 | 0.80 |  |",
        "| edit | 10,000 | 1008.0 | 1007.0 | 100.7 | 600 | 0.97 | 1.00 |",
    ]


def test_the_picture_names_every_stage_in_both_panels_and_says_the_numbers() -> None:
    drawing = picture([_row(edits, 7 + edits / 100, stage) for stage in STAGES for edits in (100, 1000)])
    assert all(drawing.as_file().count(f">{stage}<") == 2 for stage in STAGES)
    assert "edit 100: 8.00, 1,000: 17.0" in drawing.alt


def _row(edits: int, cpu: float, stage: str = "edit") -> Row:
    return {"stage": stage, "edits": edits, "seconds": cpu + 1, "cpu": cpu, "peak": 600.0}
