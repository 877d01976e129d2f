"""Fetch the data of the eight ability tasks: `python -m apps.tasks FOLDER`, then `-S abilities.folder=FOLDER`.

Each file is downloaded (configs/task_files has the addresses), put into the form that docs/abilities.md describes, and
read once as its task reads it. One that lies in FOLDER already is only read. What has no open way, or was not given, is
named with where to get it, and the command then ends with status 1.
"""

import argparse
import logging
import sys
from pathlib import Path

from lib.abilities.fetching import TaskFile, count, fetch
from lib.core import params
from lib.core.errors import InputError
from lib.core.run import run

_GROUP = "task_files"
_logger = logging.getLogger(__name__)


def main() -> None:
    options = _options()
    names = options.tasks or params.presets(_GROUP)
    missing = [reason for name in names if (reason := _fetched(name, options.folder))]
    if missing:
        sys.exit("\n".join(["error: still to get:", *missing]))


def _fetched(name: str, folder: Path) -> str | None:
    """Have the file of this name in `folder`, and print what it is; why it is not there, else."""
    task = params.preset(_GROUP, name, TaskFile)
    path = folder / task.file
    try:
        if not path.exists():
            print(f"{name}: {task.file}; terms: {task.terms}")
            fetch(task, folder)
        records = count(task, path)
    except FileNotFoundError as error:
        _logger.info("%s: %s", name, error)
        return f"  {name}: {path}: {_where(task)}"
    except InputError as error:
        return f"  {name}: {error}"
    unlike = "" if records == task.records else f" (the published file has {task.records:,})"
    print(f"{name}: {path}: {records:,} records{unlike}")
    return None


def _where(task: TaskFile) -> str:
    """Where the file is to be had."""
    addresses = f"not downloaded from {', '.join(task.source.urls)}" if task.source else "no open way"
    return f"{addresses}; {task.by_hand}" if task.by_hand else addresses


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the files go")
    parser.add_argument("--tasks", nargs="+", choices=params.presets(_GROUP), help="only these")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
