"""Correct the facts of a file in a model: what `errata fix` does, from the file to the folder that is handed over."""

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from apps.checking import AnswerNow, CheckedFacts, answers_now, checked_facts, reject_line, with_old_answers
from apps.outcome import FinishedEdit, outcome_of, plain
from apps.pipeline import repro, seconds_used
from lib.core.errors import InputError
from lib.core.files import read_json
from lib.core.params import read_params, with_recipe_file
from lib.core.records import EvaluationPrompt, Reject, Request
from lib.core.tables import read
from lib.edits.store import save_scope, was_dropped
from lib.experiments.overrides import PARAMS
from lib.handover.bases import NamedModel, base_of, named_model
from lib.handover.bundle import Bundle, RunInfo, write_facts
from lib.handover.card import write_card
from lib.handover.estimates import keep_timings, memory_available_gib, memory_gib, model_shape, stage_seconds
from lib.handover.judging import ScoreFiles, examples_of, write_inputs
from lib.handover.recent import remember
from lib.handover.scopes import run_scope
from lib.handover.stages import in_words
from lib.handover.workspace import check_settings, make_workspace
from lib.models.loading import load_model, load_tokenizer
from lib.runtime.machine import device, versions

_SHOWN = 10
_TINY = "tiny"


def fix(
    facts: Path, model: str, to: Path | None, settings: Sequence[str], console: Console, one_by_one: bool = False
) -> FinishedEdit:
    """Check the file, ask the model, estimate, run the pipeline, and write the folder `to`.

    Args:
        to: without it, a folder beside the file: `facts.csv` goes to `facts-corrected`.
        settings: as `dvc exp run -S` takes them.
        console: where progress goes.
        one_by_one: no stage runs beside another.

    Raises InputError or FileNotFoundError where the file, the model or a setting is wrong, or a stage fails.
    """
    check_settings(settings)
    named = named_model(model)
    bundle = Bundle(folder=to or facts.with_name(f"{facts.stem}-corrected"))
    _check_folder(bundle)
    checked = checked_facts(facts)
    tell_checked(checked, console)
    requests = asked(named, checked.requests, console)
    return made(bundle, requests, named, settings, "fix", console, checked.rejects, one_by_one=one_by_one)


def made(
    bundle: Bundle, requests: Sequence[Request], named: NamedModel, settings: Sequence[str], made_by: str,
    console: Console, rejects: Sequence[Reject] = (), from_cache: bool = True, is_kept: bool = True,
    one_by_one: bool = False,
) -> FinishedEdit:  # fmt: skip
    """Run the pipeline on these requests in the bundle's own workspace, and write the bundle.

    Args:
        from_cache: whether outputs of earlier runs are taken where nothing that they depend on has changed.
        is_kept: whether it becomes the user's latest edit.
        one_by_one: no stage runs beside another.
    """
    estimates = estimated(named, len(requests), settings, console)
    make_workspace(bundle.workspace, requests, named.name, named.values, settings)
    state = repro(bundle.workspace, estimates, console, from_cache=from_cache, one_by_one=one_by_one)
    keep_timings(named.name, len(requests), seconds_used(bundle.workspace, state), device(), settings)
    bundle.set_aside()
    collect(bundle, named, made_by, settings)
    if is_kept:
        remember(bundle)
    return outcome_of(bundle, rejects)


def tell_checked(checked: CheckedFacts, console: Console) -> None:
    """Print how many rows there are, and every one that cannot be used."""
    console.print(
        f"{checked.path}: {len(checked.requests)} facts, {len(checked.rejects)} of {checked.rows} rows rejected"
    )
    for reject in checked.rejects:
        console.print(f"  {reject_line(reject)}", markup=False, highlight=False, soft_wrap=True)


def asked(named: NamedModel, requests: Sequence[Request], console: Console) -> list[Request]:
    """The requests with what the model says now as their old answer, where they had none; printed as a table."""
    if named.preset.source == _TINY:
        console.print(f"{named.name} is trained for these facts by the pipeline: there is nothing to ask it yet")
        return list(requests)
    base = base_of(named)
    answers = answers_now(load_model(base, device()), load_tokenizer(base), requests)
    console.print(answers_table(answers))
    already = sum(answer.is_new_already for answer in answers)
    if already:
        console.print(f"{already} of {len(answers)} are answered as wanted already")
    completed = with_old_answers(requests, answers)
    filled = sum(old != new for old, new in zip(requests, completed, strict=True))
    if filled:
        console.print(f"{filled} facts have no target_true: what the model says now is taken for it")
    return completed


def answers_table(answers: Sequence[AnswerNow]) -> Table:
    """What the model says now beside what it is to say."""
    more = f", the first {_SHOWN}" if len(answers) > _SHOWN else ""
    table = Table(title=f"what the model says now ({len(answers)} facts{more})")
    for name, ratio in (("prompt", 2), ("now", 2), ("to be", 1)):
        table.add_column(name, overflow="fold", ratio=ratio)
    for answer in answers[:_SHOWN]:
        table.add_row(plain(answer.prompt), plain(answer.text), plain(answer.target_new))
    return table


def estimated(named: NamedModel, facts: int, settings: Sequence[str], console: Console) -> dict[str, float]:
    """Seconds of every stage, about; printed with the memory that is needed and there.

    Raises InputError where there is less memory than the model needs.
    """
    where = device()
    shape = None if named.preset.source == _TINY else model_shape(base_of(named), named.preset)
    seconds, source = stage_seconds(named.name, facts, shape, where, settings)
    console.print(f"about {in_words(sum(seconds.values()))} on {where.type} ({source})")
    if shape is not None:
        needed, available = memory_gib(shape, where), memory_available_gib(where)
        console.print(f"about {needed:.1f} GiB of memory at most; {available:.1f} GiB are free")
        if needed > available:
            raise InputError(
                f"{named.name}: wanted about {needed:.1f} GiB of memory on {where.type}; found {available:.1f} GiB. "
                "Take a smaller model, a larger machine, or a smaller train.micro_batch_tokens (-S)"
            )
    return seconds


def collect(bundle: Bundle, named: NamedModel, made_by: str, settings: Sequence[str]) -> None:
    """Write into the bundle what its workspace has made; its run.json last.

    Raises InputError where the run has kept no edit (protocol.kind=single).
    """
    run, files = bundle.workspace, ScoreFiles(folder=bundle.scores)
    edit = run / "models" / "edit"
    if was_dropped(edit):
        raise InputError("protocol.kind=single: its edits are scored and dropped; wanted mass or sequential")
    for path in (path for path in edit.iterdir() if path.is_file()):
        shutil.copyfile(path, bundle.folder / path.name)
    shutil.copytree(run / "report", bundle.page.parent, dirs_exist_ok=True)
    shutil.copytree(run / "models" / "base", bundle.base, dirs_exist_ok=True)
    requests = read(run / "data" / "requests.parquet", Request)
    write_inputs(
        files, requests, read(run / "data" / "evaluation.parquet", EvaluationPrompt), run / "data/facts/text.parquet"
    )
    for path in (files.scores, files.generations, files.divergences, files.text_nll):
        shutil.copyfile(run / "results" / path.name, path)
    shutil.copyfile(run / "data" / "frequencies.json", files.frequencies)
    write_facts(bundle.facts, requests)
    if (scope := run_scope(run)) is not None:
        save_scope(scope, bundle.folder)
    finish(
        bundle,
        RunInfo(
            made_by=made_by, date=today(), model=with_recipe_file(named.values), params=read_params(run / PARAMS),
            settings=settings,
            versions=versions(), headline=read_json(run / "metrics" / "evaluate.json"),
            sessions=[[request.request_id for request in requests]],
        ),
    )  # fmt: skip


def finish(bundle: Bundle, info: RunInfo) -> None:
    """Write the card, and run.json last."""
    files = ScoreFiles(folder=bundle.scores)
    write_card(bundle, info, examples_of(files, files))
    bundle.write_info(info)


def today() -> str:
    """The date, ISO 8601, in UTC."""
    return datetime.now(UTC).date().isoformat()


def _check_folder(bundle: Bundle) -> None:
    """Raise InputError where the folder holds something that is not an edit of ours."""
    if bundle.folder.is_file():
        raise InputError(f"--to: wanted a folder; found the file {bundle.folder}")
    holds = [path.name for path in bundle.folder.glob("*") if path.name != bundle.workspace.name]
    if holds and not bundle.exists() and not bundle.earlier():
        raise InputError(
            f"--to: wanted a folder that is new, empty, or an earlier edit; found {', '.join(sorted(holds)[:3])} in "
            f"{bundle.folder}"
        )
