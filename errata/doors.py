"""The subcommands that show what is there, or lead to what a person runs besides."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from errata.frame import PASSED_ON, Folder, Json, act, app, door, example


@app.command(epilog=example("errata doctor"))
def doctor(as_json: Json = False) -> None:
    """What is installed, which device there is, and what would run where."""
    from apps.doctor import doctor as look

    act(lambda console: look(console, quiet=as_json), as_json)


@app.command(context_settings=PASSED_ON, add_help_option=False)
def table(context: typer.Context) -> None:
    """Run the rows of a file of experiments, and print the table.

    Example: errata table experiments/rows.yaml
    """
    door("apps.table", context.args, "errata table experiments/rows.yaml --seeds 0")


@app.command(context_settings=PASSED_ON, add_help_option=False)
def compare(context: typer.Context) -> None:
    """Compare two runs of the repository, edit by edit.

    Example: errata compare main workspace
    """
    door("apps.compare", context.args, "errata compare main workspace --html comparison.html")


@app.command(context_settings=PASSED_ON, add_help_option=False)
def export(context: typer.Context) -> None:
    """Write an edit as a plain checkpoint, scored after: `errata export FOLDER --to OTHER` and apps.export's options.

    Example: errata export corrected --to checkpoint
    """
    door(
        "apps.export", context.args, "errata export corrected --to checkpoint", operand=" [FOLDER]", completed=_of_edit
    )


def _of_edit(arguments: list[str]) -> list[str]:
    """The arguments of apps.export where the first one is an edit's folder, or the latest edit is meant.

    Raises InputError where the folder holds none, or its model is not on this machine.
    """
    from lib.handover.bases import present_base
    from lib.handover.recent import bundle_at, latest

    is_named = bool(arguments) and not arguments[0].startswith("-")
    if not is_named and ({"-h", "--help", "--model", "--edit"} & set(arguments) or latest() is None):
        return arguments
    bundle = bundle_at(Path(arguments[0]) if is_named else None)
    base, requests = present_base(bundle.base, bundle.info().preset), bundle.scores / "requests.parquet"
    options = ["--model", base, "--edit", bundle.folder, "--requests", requests]
    return [*map(str, options), *arguments[is_named:]]


@app.command("list", epilog=example("errata list corrected"))
def list_facts(folder: Folder = None, as_json: Json = False) -> None:
    """The facts of an edit: their ids, what the model says now, and which did not take."""

    def action(console: Console) -> Mapping[str, Any]:
        from apps.listing import facts_of, print_facts
        from apps.outcome import outcome_of
        from lib.handover.recent import bundle_at

        bundle = bundle_at(folder)
        rows = facts_of(outcome_of(bundle))
        if not as_json:
            print_facts(rows, str(bundle.folder), console)
        return {"folder": str(bundle.folder), "facts": rows}

    act(action, as_json)


@app.command(epilog=example("errata runs"))
def runs(as_json: Json = False) -> None:
    """The edits that you have made on this machine. (`dvc exp show` lists the repository's own experiments.)"""

    def action(console: Console) -> Mapping[str, Any]:
        from apps.listing import edits_of, print_edits
        from lib.handover.recent import bundles

        rows = edits_of(bundles())
        if not as_json:
            print_edits(rows, console)
        return {"edits": rows}

    act(action, as_json)


@app.command(epilog=example("errata report corrected --open"))
def report(
    folder: Folder = None,
    is_opened: Annotated[bool, typer.Option("--open", help="open it in the browser")] = False,
    as_json: Json = False,
) -> None:
    """Where the page of an edit is: every text, what took, what it cost."""

    def action(console: Console) -> Mapping[str, Any]:
        from apps.listing import page_of
        from lib.handover.recent import bundle_at

        return page_of(bundle_at(folder), is_opened, console)

    act(action, as_json)


@app.command(epilog=example("errata card corrected"))
def card(folder: Folder = None, as_json: Json = False) -> None:
    """Write an edit's model card (README.md, in PEFT's form) anew, and print it."""

    def action(console: Console) -> Mapping[str, Any]:
        from apps.listing import card_of
        from lib.handover.recent import bundle_at

        bundle = bundle_at(folder)
        text = card_of(bundle)
        if not as_json:
            console.print(text, markup=False, highlight=False, soft_wrap=True)
        return {"card": str(bundle.card), "text": text}

    act(action, as_json)


@app.command(epilog=example("errata verify corrected"))
def verify(
    folder: Folder = None,
    model: Annotated[Path | None, typer.Option("--model", help="where the edited model lies on this machine")] = None,
    as_json: Json = False,
) -> None:
    """Score an edit again on this machine, and say whether every text and likelihood is as it came."""

    def action(console: Console) -> Mapping[str, Any]:
        from lib.handover.recent import bundle_at

        bundle = bundle_at(folder)
        line = f"{bundle.folder}: every text and likelihood is computed again here, before and after the edit"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
        from apps.verify import verify as score_again  # seconds

        return score_again(bundle, model, console)

    act(action, as_json)
