"""docs/reliability.md, as text: what every part has found, of its last run and of those before that the page has."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.faults.merging import merged, overview, sections

_HEAD = """\
# What happens when something fails

`make faults` makes this page (bench/faults/; `make faults SCALE=small` in minutes). It breaks on purpose what
the pipeline stands on. A row says what was done, how often, and what came of it; one that was not run again stays, with
the commit that it is of (`--rows` runs some). Rows of commit b6a48be99 and later are of an Intel Xeon, those of earlier
ones of an AMD EPYC.
"""
_COLUMNS = ("part", "scale", "faults", "not reached", "commit", "date", "seconds")


def page(results: Mapping[str, Mapping[str, Any] | None], earlier: str = "") -> str:
    """The page, of every part's stored result by the part's name, None where it has not been run, and of the earlier
    page, of which stays what was not run again.
    """
    before = sections(earlier)
    lines = [(name, line) for name, line in overview(earlier).items() if name in results and "| not run |" not in line]
    titles = {name: title for (name, _), title in zip(lines, before, strict=False)}
    head, parts = [_row(_COLUMNS), _row(["---"] * len(_COLUMNS))], []
    for name, result in results.items():
        section_before = before.get(titles.get(name, ""), "")
        if result is None:
            head.append(dict(lines).get(name) or _row([name, "not run", *[""] * 5]))
            parts += [section_before] if section_before else []
            continue
        findings = merged(result["findings"], section_before)
        head.append(_overview_row(name, findings, result["about"]))
        parts.append(section(findings, result["about"]))
    return "\n".join([_HEAD, *head, "", "\n".join(parts)])


def section(findings: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """One part's title, text, table, faults, what was not reached, and what it was run on."""
    table = [_row(findings["columns"]), _row(["---"] * len(findings["columns"])), *map(_row, findings["rows"])]
    faults = _list("Faults:", findings["faults"]) if findings["faults"] else ["Faults: none.", ""]
    unreached = _list("Not reached:", findings["unreached"]) if findings["unreached"] else []
    return "\n".join([
        f"## {findings['title']}", "", findings["text"].strip(), "", *table, "", *faults, *unreached, _about(about), ""
    ])  # fmt: skip


def _overview_row(name: str, findings: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    counts = [str(len(findings["faults"])), str(len(findings["unreached"]))]
    commits = {row[-1] for row in findings["rows"] if row[-1]}
    commit = about["commit"] if commits <= {about["commit"]} else "of each row"
    return _row([name, about["scale"], *counts, commit, about["date"], f"{about['seconds']:.0f}"])


def _about(about: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{package} {version}" for package, version in sorted(about["versions"].items()))
    return (
        f"Last run on {about['date']} in {about['seconds']:.0f} seconds, commit {about['commit']}, "
        f"scale {about['scale']}: "
        f"{about['hardware']['processor']}, cores that it could use: {about['hardware']['cores']}, "
        f"{about['hardware']['memory']}, GPU {about['hardware']['GPU']}; {versions}."
    )


def _list(title: str, sentences: Sequence[str]) -> list[str]:
    return [title, "", *(f"- {_cell(sentence)}" for sentence in sentences), ""]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_cell(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def _cell(text: str) -> str:
    return " ".join(text.split())
