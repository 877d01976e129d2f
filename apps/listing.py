"""What there is: the facts of an edit, the edits on this machine, the page and the card of one."""

import webbrowser
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from apps.outcome import FinishedEdit, outcome_of, plain
from apps.verify import read_facts
from lib.core.errors import InputError
from lib.handover.bundle import Bundle
from lib.handover.card import write_card
from lib.metrics.verdict import verdict


def facts_of(outcome: FinishedEdit) -> list[dict[str, Any]]:
    """Every fact of an edit, in the order of its file, with what the model says now and whether it took."""
    texts = {example.prompt: example for example in outcome.examples}
    session_of = {name: number for number, ids in enumerate(outcome.info.sessions, start=1) for name in ids}
    rows = []
    for request in read_facts(outcome.bundle):
        example = texts.get(request.prompt)
        rows.append(
            {
                "id": request.request_id, "prompt": request.prompt, "target_new": request.target_new,
                "target_true": request.target_true, "after": example and example.after,
                "took": example and example.took, "session": session_of.get(request.request_id),
            }
        )  # fmt: skip
    return rows


def print_facts(rows: Sequence[dict[str, Any]], title: str, console: Console) -> None:
    """The same as a table."""
    table = Table(title=title)
    for name, ratio in (("id", 1), ("prompt", 3), ("wanted", 2), ("says now", 3), ("took", 1)):
        table.add_column(name, overflow="fold", ratio=ratio)
    for row in rows:
        took = {True: "yes", False: "no", None: "not known"}[row["took"]]
        table.add_row(row["id"], plain(row["prompt"]), plain(row["target_new"]), plain(row["after"]), took)
    console.print(table)


def edits_of(bundles: Sequence[Bundle]) -> list[dict[str, Any]]:
    """Every edit, in the order in which they were made."""
    rows = []
    for bundle in bundles:
        info = bundle.info()
        rows.append(
            {
                "folder": str(bundle.folder), "date": info.date, "made_by": info.made_by, "model": info.preset.name,
                "facts": info.facts, "verdict": verdict(info.headline).word, "earlier": len(bundle.earlier()),
            }
        )  # fmt: skip
    return rows


def print_edits(rows: Sequence[dict[str, Any]], console: Console) -> None:
    """The same as a table."""
    if not rows:
        console.print("no edits of yours on this machine yet; make one: errata fix FACTS --model NAME --to FOLDER")
        return
    table = Table(title=f"{len(rows)} edits, the latest last")
    for name in ("folder", "date", "made by", "model", "facts", "verdict", "earlier"):
        table.add_column(name, overflow="fold", justify="right" if name in ("facts", "earlier") else "left")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    console.print(table)


def page_of(bundle: Bundle, is_opened: bool, console: Console) -> dict[str, Any]:
    """Say where the page of an edit is, and open it in a browser where that is asked for.

    Raises InputError where the edit is a sum and has none.
    """
    if not bundle.page.is_file():
        raise InputError(
            f"{bundle.folder}: made by `errata {bundle.info().made_by}`, which writes no page; wanted one that "
            "`errata fix` has made. `errata list` shows its facts, README.md its numbers"
        )
    path = bundle.page.resolve()
    console.print(str(path), markup=False, highlight=False, soft_wrap=True)
    if is_opened:
        webbrowser.open(path.as_uri())
    return {"page": str(path)}


def card_of(bundle: Bundle) -> str:
    """The model card of an edit, written anew from what is known of it."""
    outcome = outcome_of(bundle)
    return write_card(bundle, outcome.info, outcome.examples)
