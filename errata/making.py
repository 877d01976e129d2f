"""The subcommands that make an edit, or another out of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from errata.frame import EditFolder, Facts, Folder, Json, ModelName, OneByOne, Settings, act, app, example


@app.command(epilog=example("errata fix city.csv --model smollm2-135m --to corrected"))
def fix(
    facts: Facts,
    model: ModelName,
    to: Annotated[Path | None, typer.Option("--to", help="folder of the result (default: FACTS-corrected)")] = None,
    settings: Settings = None,
    one_by_one: OneByOne = False,
    as_json: Json = False,
) -> None:
    """Correct the facts of a file in a model: check, ask, estimate, train, score, and say whether it is safe to use.

    The pipeline runs in a folder of its own (TO/.run); no file of the repository changes. Run again, it takes from
    DVC's cache what is as it was. On a CPU with two cores, stages that need no edit run beside training.
    """

    def action(console: Console) -> Mapping[str, Any]:
        from apps.fix import fix as fix_facts

        return _told(fix_facts(facts, model, to, settings or [], console, one_by_one), console, as_json)

    act(action, as_json)


def _told(outcome: Any, console: Console, as_json: bool) -> Mapping[str, Any]:
    """Print an outcome, unless it is for a program; its JSON, with `ok`."""
    from apps.outcome import as_json as json_of
    from apps.outcome import tell

    if not as_json:
        tell(outcome, console)
    return {**json_of(outcome), "ok": outcome.is_safe}


@app.command(epilog=example("errata add more.csv --edit corrected"))
def add(facts: Facts, edit: EditFolder = None, settings: Settings = None, as_json: Json = False) -> None:
    """Train more facts on top of an edit. Only what is new is trained; old and new facts are scored again.

    The folder then holds the sum of both; `errata undo` goes back.
    """

    def action(console: Console) -> Mapping[str, Any]:
        from apps.living import add as add_facts
        from apps.living import retained
        from apps.outcome import outcome_of
        from lib.handover.recent import bundle_at

        bundle = bundle_at(edit)
        before = outcome_of(bundle)
        after = add_facts(bundle, facts, settings or [], console)
        result = _told(after, console, as_json)
        console.print(retained(before, after))
        return result

    act(action, as_json)


@app.command(epilog=example("errata remove line-2 --edit corrected"))
def remove(
    ids: Annotated[list[str], typer.Argument(help="ids of facts, as `errata list` shows them")],
    edit: EditFolder = None,
    one_by_one: OneByOne = False,
    as_json: Json = False,
) -> None:
    """Train an edit anew without some of its facts: an adapter has no part that is one fact's alone."""

    def action(console: Console) -> Mapping[str, Any]:
        from apps.living import remove as remove_facts
        from lib.handover.recent import bundle_at

        return _told(remove_facts(bundle_at(edit), ids, console, one_by_one), console, as_json)

    act(action, as_json)


@app.command(epilog=example("errata undo corrected"))
def undo(folder: Folder = None, as_json: Json = False) -> None:
    """Go back to what an edit's folder held before its last change (fix, add, remove)."""

    def action(console: Console) -> Mapping[str, Any]:
        from apps.living import undo as take_back
        from lib.handover.recent import bundle_at

        return {**_told(take_back(bundle_at(folder)), console, as_json), "ok": True}

    act(action, as_json)


@app.command(epilog=example("errata merge team-a team-b --to together"))
def merge(
    first: Annotated[Path, typer.Argument(help="an edit's folder")],
    second: Annotated[Path, typer.Argument(help="another, of the same model")],
    to: Annotated[Path, typer.Option("--to", help="new folder of the sum")],
    as_json: Json = False,
) -> None:
    """Add two edits of one model up. Nothing is trained; the facts of both are scored under the sum."""

    def action(console: Console) -> Mapping[str, Any]:
        from apps.living import merge as merge_edits
        from lib.handover.recent import bundle_at

        return _told(merge_edits(bundle_at(first), bundle_at(second), to, console), console, as_json)

    act(action, as_json)


@app.command(epilog=example("errata reproduce corrected"))
def reproduce(folder: Folder = None, as_json: Json = False) -> None:
    """Make an edit again from its facts and settings, nothing taken from earlier runs, and compare the two."""

    def action(console: Console) -> Mapping[str, Any]:
        from apps.verify import reproduce as make_again
        from lib.handover.recent import bundle_at

        return make_again(bundle_at(folder), console)

    act(action, as_json)
