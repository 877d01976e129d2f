"""docs/reliability.md, as text: what every part that has been run has found."""

from collections.abc import Mapping, Sequence
from typing import Any

_HEAD = """\
# What happens when something fails

`make faults` makes this page (bench/faults/; `make faults SCALE=small` in minutes). It breaks on purpose what
the pipeline stands on. A row says what was done, how often, and what came of it.
"""


def page(results: Mapping[str, Mapping[str, Any] | None]) -> str:
    """The page, of every part's stored result by the part's name, None where it has not been run."""
    overview = [_row(["part", "scale", "faults", "not reached", "commit", "date", "seconds"]), _row(["---"] * 7)]
    overview += [_overview_row(name, result) for name, result in results.items()]
    sections = [section(result["findings"], result["about"]) for result in results.values() if result is not None]
    return "\n".join([_HEAD, *overview, "", "\n".join(sections)])


def section(findings: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """One part's title, text, table, faults, what was not reached, and what it was run on."""
    table = [_row(findings["columns"]), _row(["---"] * len(findings["columns"])), *map(_row, findings["rows"])]
    faults = _list("Faults:", findings["faults"]) if findings["faults"] else ["Faults: none.", ""]
    unreached = _list("Not reached:", findings["unreached"]) if findings["unreached"] else []
    return "\n".join([
        f"## {findings['title']}", "", findings["text"].strip(), "", *table, "", *faults, *unreached, _about(about), ""
    ])  # fmt: skip


def _overview_row(name: str, result: Mapping[str, Any] | None) -> str:
    if result is None:
        return _row([name, "not run", *[""] * 5])
    about, findings = result["about"], result["findings"]
    counts = [str(len(findings["faults"])), str(len(findings["unreached"]))]
    return _row([name, about["scale"], *counts, about["commit"], about["date"], f"{about['seconds']:.0f}"])


def _about(about: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{package} {version}" for package, version in sorted(about["versions"].items()))
    return (
        f"Run on {about['date']} in {about['seconds']:.0f} seconds, commit {about['commit']}, scale {about['scale']}: "
        f"{about['hardware']['processor']}, cores that it could use: {about['hardware']['cores']}, "
        f"{about['hardware']['memory']}, GPU {about['hardware']['GPU']}; {versions}."
    )


def _list(title: str, sentences: Sequence[str]) -> list[str]:
    return [title, "", *(f"- {_cell(sentence)}" for sentence in sentences), ""]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_cell(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def _cell(text: str) -> str:
    return " ".join(text.split())
