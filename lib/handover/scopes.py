"""The scope of the edit that a run of the pipeline has made: of what it was trained on, as its params.yaml has it."""

from dataclasses import replace
from pathlib import Path

from lib.core.params import PARAMS_FILE, ROOT, ScopeSettings, section
from lib.core.records import Paraphrase, Request
from lib.core.tables import read
from lib.edits.adapter import WEIGHTS
from lib.edits.edit import Edit
from lib.edits.scope import Scope, scope_of
from lib.edits.store import SCOPE, UPDATES, load_edit

OF_THE_RUN = ROOT / "models" / "edit"
"""The edit of the repository's own run, whose params say for which prompts it is in force."""


def run_scope(folder: Path) -> Scope | None:
    """That of the run in `folder`; None where its edit is in force for every prompt, or changes no weight.

    Raises InputError where the params have no such section.
    """
    settings = section("scope", ScopeSettings, folder / PARAMS_FILE.name)
    changes_weights = any((folder / "models" / "edit" / name).is_file() for name in (WEIGHTS, UPDATES))
    if settings.encoder is None or not changes_weights:
        return None
    return scope_of(*_trained(folder), settings=settings)


def with_run(scope: Scope, folder: Path) -> Scope:
    """`scope` with what the run in `folder` was trained on, whatever that run's params say of scopes."""
    return scope.with_facts(*_trained(folder))


def _trained(folder: Path) -> tuple[list[Request], list[Paraphrase]]:
    data = folder / "data"
    return read(data / "requests.parquet", Request), read(data / "paraphrases.parquet", Paraphrase)


def has_scope(folder: Path) -> bool:
    """Whether the edit in `folder` is in force for some prompts alone."""
    return (folder / SCOPE).is_file() or (folder.resolve() == OF_THE_RUN and run_scope(ROOT) is not None)


def loaded(folder: Path) -> Edit:
    """The edit in `folder`, with its scope where it has one. Raises as `load_edit` does."""
    edit = load_edit(folder)
    return replace(edit, scope=run_scope(ROOT)) if folder.resolve() == OF_THE_RUN else edit
