"""Colours of a study's rows: rows whose names begin with the same word share a hue and differ in depth."""

from collections.abc import Sequence

from matplotlib.colors import to_hex, to_rgb

_HUES = ("#1d2733", "#2563c9", "#e08a1e", "#1a9a5a", "#c0392b", "#8a4fbf", "#0f9fb0", "#b0791f", "#d0558f", "#6b7785")
_LIGHTEST = 0.7
"""Share of white in the lightest row of a hue."""


def colors(rows: Sequence[str]) -> dict[str, str]:
    """A colour for each row, as #rrggbb: the first of several of a hue is the lightest, the last is the hue itself."""
    families = list(dict.fromkeys(_family(row) for row in rows))
    made = {}
    for row in rows:
        same = [one for one in rows if _family(one) == _family(row)]
        white = _LIGHTEST * (len(same) - 1 - same.index(row)) / max(1, len(same) - 1)
        hue = to_rgb(_HUES[families.index(_family(row)) % len(_HUES)])
        made[row] = to_hex([part * (1 - white) + white for part in hue])
    return made


def _family(row: str) -> str:
    return row.split()[0]
