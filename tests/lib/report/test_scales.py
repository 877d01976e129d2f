"""Scales: values at their places, ticks at round values."""

import pytest

from lib.report.plots.scales import Scale, value_scale


def test_a_scale_takes_its_ends_to_the_ends_and_holds_what_is_beyond() -> None:
    scale = Scale(low=0, high=10, start=100, end=0)
    assert [scale(value) for value in (0, 5, 10, 12, -3)] == [100, 50, 0, 0, 100]
    log = Scale(low=1, high=100, start=0, end=10, is_log=True)
    assert [log(value) for value in (1, 10, 100, -1)] == [0, 5, 10, 0]


@pytest.mark.parametrize(
    ("low", "high", "is_log", "ticks"),
    [
        (0, 100, False, [0, 50, 100]), (0, 8.3, False, [0, 5]), (-1, 1, False, [-1, -0.5, 0, 0.5, 1]),
        (0.0002, 0.0009, False, [0.0002, 0.0004, 0.0006, 0.0008]), (1, 1e6, True, [1, 100, 10_000, 1e6]),
        (15, 1_000, True, [20, 100, 500]),
    ],
)  # fmt: skip
def test_ticks_are_round_values_between_the_ends(low: float, high: float, is_log: bool, ticks: list[float]) -> None:
    assert Scale(low=low, high=high, start=0, end=1, is_log=is_log).ticks() == pytest.approx(ticks)


def test_values_over_many_powers_of_ten_have_a_logarithmic_scale_but_not_percentages_nor_zeros() -> None:
    for values, is_percent, is_log in (
        ([2.0, 2e5], False, True), ([2.0, 20.0], False, False), ([0.0, 2e5], False, False), ([0.1, 100.0], True, False),
    ):  # fmt: skip
        assert value_scale(values, 0, 1, is_percent).is_log == is_log


@pytest.mark.parametrize("values", [[], [0.0, 0.0], [3.0], [-2.0, -2.0]])
def test_every_value_has_a_place_also_where_all_are_equal(values: list[float]) -> None:
    scale = value_scale(values, 0, 1)
    assert scale.high > scale.low
    assert all(0 <= scale(value) <= 1 for value in values)
    assert scale.ticks()


@pytest.mark.parametrize("most", [1, 2, 3, 5])
def test_a_low_picture_has_few_ticks_on_a_logarithmic_scale(most: int) -> None:
    scale = Scale(low=0.4, high=6, start=0, end=30, is_log=True)
    assert 1 <= len(scale.ticks(most)) <= most
