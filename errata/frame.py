"""What the subcommands of `errata` share: the application, options of one meaning, exit codes, how an action runs.

Exit codes: 0 done; 1 it could not be done, and the message says why; 2 the command line is wrong; 3 it was done, and
the answer is no: the verdict is not `safe`, or what was made again is not equal.
"""

import json
import logging
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from lib.core.run import run

NO = 3
"""Exit code: done, and the answer is no."""

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False,
    help="Correct facts in a language model, and see what that costs. Exit codes: 0 done, 1 not possible (the message "
    "says why), 2 wrong command line, 3 done but the answer is no (not safe, not equal).",
)  # fmt: skip


def _models(incomplete: str) -> list[str]:
    folder = Path(__file__).resolve().parent.parent / "configs" / "models"
    return sorted(path.stem for path in folder.glob("*.yaml") if path.stem.startswith(incomplete))


Facts = Annotated[Path, typer.Argument(help="CSV, JSONL or Parquet: prompt, target_new (docs/own-facts.md)")]
ModelName = Annotated[str, typer.Option("--model", help="a preset, a folder, or a GGUF file", autocompletion=_models)]
Settings = Annotated[
    list[str] | None, typer.Option("--set", "-S", help="a parameter for the run, as `dvc exp run -S` takes it")
]
Json = Annotated[bool, typer.Option("--json", help="print one JSON document, for programs; progress goes to stderr")]
OneByOne = Annotated[
    bool, typer.Option("--one-by-one", help="run no stage beside another, as on a GPU; slower, with less memory")
]
EditFolder = Annotated[Path | None, typer.Option("--edit", help="an edit's folder; without it, your latest")]
Folder = Annotated[Path | None, typer.Argument(help="an edit's folder; without it, your latest")]


def example(*commands: str) -> str:
    """The epilogue of a subcommand's help."""
    return "Example: " + "   or: ".join(f"[bold]{command}[/bold]" for command in commands)


def act(action: Callable[[Console], Mapping[str, Any] | None], as_json: bool = False) -> None:
    """Run a subcommand's action, which prints its progress to the console that it gets; messages end with status 1.

    What the action returns is printed as JSON where that is asked for. A value `ok` that is false ends with status 3.
    """
    result: Mapping[str, Any] = {}

    def acted() -> None:
        nonlocal result
        logging.getLogger("httpx").setLevel(logging.WARNING)
        result = action(Console(stderr=as_json)) or {}

    run(acted, with_parent=False)
    if as_json:
        print(json.dumps({name: value for name, value in result.items() if name != "ok"}, indent=2, default=str))
    if not result.get("ok", True):
        raise typer.Exit(NO)


def door(
    module: str, arguments: list[str], *examples: str, operand: str = "",
    completed: Callable[[list[str]], list[str]] = lambda arguments: arguments,
) -> None:  # fmt: skip
    """Run a module of apps/ with these arguments, as `python -m` does; its help gets the examples.

    Args:
        operand: what the usage shows after the name, of that which `completed` replaces.
        completed: gives the arguments of the module out of those of the command line; its errors are the command's.
    """

    def main() -> None:
        sys.argv = [f"errata {module.rpartition('.')[2]}{operand}", *completed(arguments)]
        import_module(module).main()

    try:
        run(main, with_parent=False)
    finally:
        if {"-h", "--help"} & set(arguments):
            print("\nExample: " + "   or: ".join(examples))


PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
