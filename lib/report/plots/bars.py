"""Bars that lie side by side: every group has a bar for each series, with its interval and its value at the end."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lib.report.plots.axes import tick_label
from lib.report.plots.scales import Scale, value_scale
from lib.report.plots.svg import FONT, WIDTH, Drawing, drawing, legend, line, rect, text, text_width
from lib.report.wording import ABSENT, short

_THICKNESS, _GAP = 11.0, 9.0
"""Of a bar, and between two groups."""
_LONGEST_LABEL = 24
_LABEL_SHARE = 0.42
"""Of the picture's width that labels take at most."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One value; None was not measured."""

    value: float | None
    ci95: float | None = None
    """Half the width of its interval."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """The bars of one thing, in the order of the series; None has no bar, and nothing is said of it."""

    label: str
    bars: Sequence[Bar | None]
    level: float | None = None
    """A dotted mark, such as what guessing gives."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """Groups on one scale, under a title where there are several blocks."""

    title: str
    groups: Sequence[Group]
    is_percent: bool


def bars(blocks: Sequence[Block], series: Sequence[tuple[str, str]], level: str = "") -> Drawing:
    """The blocks below one another.

    Args:
        series: name and role of each bar of a group.
        level: what the dotted marks are.
    """
    labels = [group.label for block in blocks for group in block.groups]
    left = min(max(text_width(_short(label)) for label in labels) * 0.95 + 8, WIDTH * _LABEL_SHARE)
    parts, y = [legend(list(series), 0, 8)], 24.0
    for block in blocks:
        if block.title:
            parts.append(text(block.title, 0, y + 2, role="soft"))
            y += 18
        elements, height = _block(block, series, left, y)
        parts += elements
        y += height
    return drawing(WIDTH, y, parts, "; ".join(_in_words(blocks, series, level)) + ".")


def _block(block: Block, series: Sequence[tuple[str, str]], left: float, top: float) -> tuple[list[str], float]:
    """The elements of a block and its height."""
    heights = [sum(bar is not None for bar in group.bars) * _THICKNESS for group in block.groups]
    bottom = top + sum(heights) + _GAP * len(block.groups)
    scale = value_scale(list(_ends(block)), left, WIDTH - 44, block.is_percent)
    scale = scale if not scale.is_log else Scale(low=0, high=scale.high, start=scale.start, end=scale.end)
    parts = _grid(scale, top, bottom, block.is_percent)
    y = top + _GAP / 2
    for group, height in zip(block.groups, heights, strict=True):
        parts.append(text(_short(group.label), left - 6, y + height / 2, "end"))
        for bar, (_, role) in zip(group.bars, series, strict=True):
            if bar is not None:
                parts += _bar(bar, role, y, scale, block.is_percent)
                y += _THICKNESS
        if group.level:
            parts.append(line(scale(group.level), y - height - 2, scale(group.level), y + 2, "ink dotted"))
        y += _GAP
    return parts, bottom - top + FONT + 14


def _bar(bar: Bar, role: str, y: float, scale: Scale, is_percent: bool) -> list[str]:
    middle = y + _THICKNESS / 2
    if bar.value is None:
        return [text(ABSENT, scale.start + 4, middle, role="soft")]
    end = scale(bar.value + (bar.ci95 or 0))
    parts = [rect(scale.start, y + 0.5, scale(bar.value) - scale.start, _THICKNESS - 1, role)]
    if bar.ci95:
        low = scale(bar.value - bar.ci95)
        parts.append(line(low, middle, end, middle, "ink thin"))
        parts += [line(x, middle - 3, x, middle + 3, "ink thin") for x in (low, end)]
    return [*parts, text(_value(bar.value, is_percent), end + 4, middle, role="soft")]


def _grid(scale: Scale, top: float, bottom: float, is_percent: bool) -> list[str]:
    parts = []
    for value in scale.ticks():
        parts.append(line(scale(value), top, scale(value), bottom, "grid"))
        parts.append(text(tick_label(value, is_percent), scale(value), bottom + 10, "middle", "soft"))
    return parts


def _ends(block: Block) -> Iterator[float]:
    for group in block.groups:
        yield group.level or 0.0
        yield from (bar.value + (bar.ci95 or 0) for bar in group.bars if bar and bar.value is not None)


def _value(value: float, is_percent: bool) -> str:
    if is_percent:
        return f"{value:.0f} %"
    return "0" if value == 0 else short(value)


def _in_words(blocks: Sequence[Block], series: Sequence[tuple[str, str]], level: str) -> Iterator[str]:
    for block in blocks:
        title = f"{block.title}: " if block.title else ""
        for group in block.groups:
            values = [
                f"{name} {_bar_in_words(bar, block.is_percent)}"
                for (name, _), bar in zip(series, group.bars, strict=True) if bar is not None
            ]  # fmt: skip
            values += [f"{level} {_value(group.level, block.is_percent)}"] if group.level else []
            yield f"{title}{group.label}: {', '.join(values)}"
            title = ""


def _bar_in_words(bar: Bar, is_percent: bool) -> str:
    if bar.value is None:
        return ABSENT
    value = f"{bar.value:.1f}" if is_percent else _value(bar.value, is_percent)
    width = "" if bar.ci95 is None else f" ± {bar.ci95:.1f}" if is_percent else f" ± {short(bar.ci95, 2)}"
    return f"{value}{width}{' %' if is_percent else ''}"


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1] + "…"
