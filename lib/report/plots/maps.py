"""Where in its matrices an edit falls: RECT's figure 5."""

import math
from collections.abc import Iterator, Mapping, Sequence

from lib.metrics.bootstrap import Floats
from lib.report.plots.svg import WIDTH, Drawing, drawing, element, text
from lib.report.wording import short

_DECADES = 4
"""The scale begins at the smallest block, but no more than so many powers of ten below the largest."""
_SHADES = 8
"""Steps of the scale, from the faintest to the full colour."""
_COLUMNS = 2
_SIDE, _GAP, _TITLE = 190.0, 20.0, 18.0


def change_maps(maps: Mapping[str, Floats]) -> Drawing:
    """The mean |dW| of blocks of matrices by path, outputs downwards and inputs to the right; unchanged blocks empty.

    One logarithmic scale for all. Raises ValueError where there is no map.
    """
    if not maps:
        raise ValueError("wanted at least one heat map to draw; found none")
    ends = _ends([value for blocks in maps.values() for value in blocks.ravel().tolist() if value > 0])
    parts: list[str] = []
    height = _SIDE * 0.6
    for index, (path, blocks) in enumerate(maps.items()):
        row, column = divmod(index, _COLUMNS)
        parts += _map(path, blocks, ends, column * (_SIDE + _GAP), row * (height + _TITLE + 10), height)
    bottom = math.ceil(len(maps) / _COLUMNS) * (height + _TITLE + 10)
    parts += [text("outputs downwards, inputs to the right", 0, bottom + 8, role="soft"), *_legend(ends, bottom + 28)]
    return drawing(WIDTH, bottom + 40, parts, " ".join(_in_words(maps)))


def _ends(changes: Sequence[float]) -> tuple[float, float] | None:
    """The ends of the scale, which differ also where all blocks are equal; None where nothing changed."""
    if not changes:
        return None
    top = max(changes)
    return min(max(min(changes), top / 10**_DECADES), top / 2), top


def _map(
    path: str, blocks: Floats, ends: tuple[float, float] | None, x: float, y: float, height: float
) -> Iterator[str]:
    """One matrix: for each shade one path of lines as thick as a row, which join neighbors of the same shade."""
    yield text(_short(path), x, y + 8)
    rows, columns = blocks.shape
    by_shade: dict[int, list[str]] = {}
    for row, values in enumerate(blocks.tolist()):
        for start, end, shade in _runs([_shade(value, ends) for value in values]):
            by_shade.setdefault(shade, []).append(f"M{start} {row}h{end - start}")
    lines = (
        element("path", class_="cells after", stroke_opacity=shade / _SHADES, d="".join(by_shade[shade]))
        for shade in sorted(by_shade.keys() - {0})
    )
    top, size = y + _TITLE, (_SIDE / columns, height / rows)
    transform = f"translate({x:.2f} {top + size[1] / 2:.2f}) scale({size[0]:.4f} {size[1]:.4f})"
    yield element("g", *lines, transform=transform)
    yield element("rect", class_="frame", x=x, y=top, width=_SIDE, height=height)
    if not blocks.any():
        yield text("nothing changed", x + _SIDE / 2, top + height / 2, "middle", "soft")


def _shade(value: float, ends: tuple[float, float] | None) -> int:
    """0 of an unchanged block, else 1 to _SHADES."""
    if value <= 0 or ends is None:
        return 0
    share = math.log(max(value, ends[0]) / ends[0]) / math.log(ends[1] / ends[0])
    return 1 + min(_SHADES - 1, int(share * _SHADES))


def _runs(shades: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """(start, end, shade) of neighbors with the same shade."""
    start = 0
    for index in range(1, len(shades) + 1):
        if index == len(shades) or shades[index] != shades[start]:
            yield start, index, shades[start]
            start = index


def _legend(ends: tuple[float, float] | None, y: float) -> Iterator[str]:
    if ends is None:
        return
    low, high = short(ends[0]), short(ends[1])
    yield text(f"mean |ΔW| of a block: {low}", 0, y)
    x = 250.0
    for shade in range(1, _SHADES + 1):
        yield element(
            "rect", class_="after", x=x + 12 * (shade - 1), y=y - 5, width=12, height=10, fill_opacity=shade / _SHADES
        )
    yield text(high, x + 12 * _SHADES + 6, y)


def _in_words(maps: Mapping[str, Floats]) -> Iterator[str]:
    for path, blocks in maps.items():
        changed = [value for value in blocks.ravel().tolist() if value > 0]
        if changed:
            yield (
                f"{path}: {len(changed):,} of {blocks.size:,} blocks changed, by {short(min(changed))} to "
                f"{short(max(changed))} on average."
            )
        else:
            yield f"{path}: nothing changed."


def _short(path: str) -> str:
    return path if len(path) <= 28 else "…" + path[-27:]
