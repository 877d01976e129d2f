"""A comparison of two runs as a Markdown table for the terminal."""

from lib.metrics.comparison import Comparison, Row


def table(found: Comparison) -> str:
    """The comparison as a Markdown table, and what it should be read with."""
    head = ("", "N", f"A: {found.a}", f"B: {found.b}", "B - A", "95 % (1.96 SE)", "95 % (bootstrap)", "sign test p",
            "B wins / ties / loses")  # fmt: skip
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}", *(_line(row) for row in found.rows)]
    for kind, count in found.other_prompts.items():
        lines += [
            "",
            f"Of {count} edits the two runs were asked other {kind} prompts: their means are of unlike prompts.",
        ]
    return "\n".join(lines)


def _line(row: Row) -> str:
    spread = row.bootstrap
    cells = (
        f"{row.kind} {row.measure}",
        str(row.n),
        f"{row.a:.2f}",
        f"{row.b:.2f}",
        _signed(row.difference),
        "" if row.ci95 is None else f"{_signed(row.difference - row.ci95)} .. {_signed(row.difference + row.ci95)}",
        "" if spread is None else f"{_signed(spread.low)} .. {_signed(spread.high)}",
        "" if row.p_value is None else f"{row.p_value:.2g}",
        "" if row.wins is None else f"{row.wins} / {row.ties} / {row.losses}",
    )
    return f"| {' | '.join(cells)} |"


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}"  # never -0.00
