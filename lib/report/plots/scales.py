"""Where values stand in a picture: linear and logarithmic scales, and the round values that their ticks have."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 5.0, 10.0)
WIDE = 1.5
"""Values that span more powers of ten than this are drawn on a logarithmic scale."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Takes the values from `low` to `high` to the places from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value; one beyond the ends stands at the end."""
        low, high, value = (
            (math.log10(number) for number in (self.low, self.high, max(value, self.low)))
            if self.is_log else (self.low, self.high, value)
        )  # fmt: skip
        share = (value - low) / (high - low)
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)

    def ticks(self, most: int = 5) -> list[float]:
        """Round values between the ends, at most `most`."""
        return _powers(self.low, self.high, most) if self.is_log else _round_values(self.low, self.high, most)


def value_scale(
    values: Sequence[float], start: float, end: float, is_percent: bool = False, top: float = 100.0
) -> Scale:
    """A scale for these values: of percent 0 to `top`; logarithmic where positive ones span much; else from 0 or below.

    It has room for every value, also where all are equal.
    """
    if is_percent:
        return Scale(low=0, high=top, start=start, end=end)
    low, high = min(values, default=0.0), max(values, default=1.0)
    if low > 0 and high / low > 10**WIDE:
        return Scale(low=low / 1.2, high=high * 1.2, start=start, end=end, is_log=True)
    low, high = min(0.0, low), max(0.0, high)
    return Scale(low=low, high=high + (0.06 * (high - low) or 1.0), start=start, end=end)


def _round_values(low: float, high: float, most: int) -> list[float]:
    least = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(least))
    step = next(step * power for step in _STEPS if step * power >= least * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _powers(low: float, high: float, most: int) -> list[float]:
    """Powers of ten, with 2 and 5 times them where these are few; every k-th where there are more than `most`."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    inside = [10.0**exponent for exponent in exponents if low <= 10.0**exponent <= high]
    if len(inside) <= 2:
        inside = [step * 10.0**exponent for exponent in exponents for step in _STEPS[:3]]
        inside = [value for value in inside if low <= value <= high]
    return inside[:: math.ceil(len(inside) / most) or 1]
