"""Edits that one lives with: facts added, removed, taken back, and two edits merged (docs/living-with-edits.md).

What is added is trained on top of the earlier edit, whose own weights stay and whose facts are held; the result is the
sum of both, for which every fact, old and new, is scored again. What is removed is not subtracted: the facts that are
left are trained anew.
"""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from apps.checking import answers_now, checked_facts, with_old_answers
from apps.fix import answers_table, estimated, finish, made, tell_checked, today
from apps.outcome import FinishedEdit, outcome_of
from apps.pipeline import repro
from apps.verify import named_of, read_facts, scored_requests, shown_progress
from lib.core.errors import InputError
from lib.core.files import put_in_place
from lib.core.params import Model, Train, check, did_you_mean, with_held_lora, with_recipe
from lib.core.records import EvaluationPrompt, Reject, Request, scored_on
from lib.core.tables import read, write
from lib.edits.apply import applied
from lib.edits.edit import Edit
from lib.edits.edited_facts import write_edited_facts
from lib.edits.store import load_edit, save_edit
from lib.experiments.overrides import PARAMS, by_file
from lib.export.merge import check_in_weights, stored_model, write_merged
from lib.handover.bases import NamedModel, present_base
from lib.handover.bundle import Bundle, RunInfo, write_facts
from lib.handover.judging import ScoreFiles, judged, rescore
from lib.handover.recent import remember
from lib.handover.scopes import with_run
from lib.handover.sums import summed
from lib.handover.together import together
from lib.handover.workspace import check_settings, make_workspace
from lib.models.loading import load_model, load_tokenizer
from lib.models.manifest import read_manifest
from lib.paraphrases.candidates import by_rules, given
from lib.paraphrases.cleaning import clean
from lib.runtime.machine import device, versions


def add(bundle: Bundle, facts: Path, settings: Sequence[str], console: Console) -> FinishedEdit:
    """Train the facts of a file on top of the edit in the folder, and score all facts, old and new.

    Args:
        settings: of the new facts' training, over those of the earlier edit, whose scope is that of all facts.

    Raises InputError where a new fact has the prompt of an old one and another object, where no fact is new, where a
    setting is of the scope, and where the earlier edit is a memory or text, which no weight can hold.
    """
    check_settings(settings)
    if of_scope := [change for change in by_file(settings).get(PARAMS, ()) if change.startswith("scope.")]:
        raise InputError(
            f"-S {of_scope[0]}: the edit's scope is that of `errata fix`, for old and new facts alike: leave it "
            "out, or fix all facts anew with it"
        )
    info = bundle.info()
    if info.preset.tiny is not None:
        raise InputError(
            "the tiny model is trained together with its facts, so nothing can be added; take another model"
        )
    stored = load_edit(bundle.folder)
    earlier = replace(stored, scope=None)
    check_in_weights(earlier)  # new facts are trained on a model that has the earlier edit in its weights
    old = read_facts(bundle)
    new, rejects = _new_facts(bundle, old, facts, console)
    requests = _asked(bundle, info, earlier, new, console)
    console.print(f"{len(requests)} facts are trained on top of {len(old)}, whose training stays as it is")
    _train_on_top(bundle, info, earlier, requests, [*info.settings, *settings], console)
    run = bundle.workspace
    total = summed(earlier, load_edit(run / "models" / "edit"))
    if stored.scope is not None:
        total = replace(total, scope=with_run(stored.scope, run))
    written = read(run / "data" / "evaluation.parquet", EvaluationPrompt)
    scored = scored_on(read(run / "data" / "requests.parquet", Request), written)
    sessions = [*info.sessions, [request.request_id for request in requests]]
    changed = info.model_copy(update={"made_by": "add", "sessions": sessions})
    everything = together(scored_requests(bundle), scored).requests
    staged = _sum(bundle, run / "sum", changed, total, everything, [*old, *requests])
    bundle.set_aside()
    for path in list(staged.folder.iterdir()):
        put_in_place(path, bundle.folder / path.name)
    remember(bundle)
    return outcome_of(bundle, rejects)


def remove(bundle: Bundle, ids: Sequence[str], console: Console, one_by_one: bool = False) -> FinishedEdit:
    """Train the edit anew without these facts: an adapter has no part that is one fact's alone.

    With `one_by_one` no stage runs beside another.

    Raises InputError for an id that no fact has, and where no fact would be left.
    """
    info, requests = bundle.info(), read_facts(bundle)
    names = [request.request_id for request in requests]
    if unknown := [name for name in ids if name not in names]:
        raise InputError(
            f"wanted ids of {bundle.folder} (errata list); found {unknown[0]!r}{did_you_mean(unknown[0], names)}"
        )
    left = [request for request in requests if request.request_id not in ids]
    if not left:
        raise InputError(f"no fact would be left: leave {bundle.folder} away, and the model answers as before")
    console.print(f"{len(left)} facts are trained anew, without {', '.join(ids)}")
    return made(bundle, left, named_of(info), info.settings, "remove", console, one_by_one=one_by_one)


def merge(first: Bundle, second: Bundle, to: Path, console: Console) -> FinishedEdit:
    """Write the sum of two edits of one model to a new folder, with all facts of both scored.

    Raises InputError where the models differ, the edits contradict each other, or the folder is not new.
    """
    if first.folder.resolve() == second.folder.resolve():
        raise InputError(f"wanted two edits; found {first.folder} twice")
    info, second_info = first.info(), second.info()
    if (manifests := [read_manifest(bundle.base)["files"] for bundle in (first, second)])[0] != manifests[1]:
        raise InputError(f"wanted two edits of one model; found {info.preset.name} and {second_info.preset.name}")
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise InputError(f"--to: wanted a folder that is new or empty; found {to}")
    first_facts, second_facts = read_facts(first), read_facts(second)
    facts = together(first_facts, second_facts)
    sessions = [*info.sessions, *([facts.ids[name] for name in session] for session in second_info.sessions)]
    console.print(f"{len(first_facts)} and {len(second_facts)} facts; nothing is trained, all are scored")
    if facts.repeated:
        console.print(
            f"both have {', '.join(facts.repeated)}: scored once, as {first.folder} has it; its change is added up"
        )
    second_edit = load_edit(second.folder)
    if second_edit.scope is not None:
        second_edit = replace(second_edit, scope=second_edit.scope.renamed(facts.ids))
    total = summed(load_edit(first.folder), second_edit)
    scored = together(scored_requests(first), scored_requests(second)).requests
    merged = info.model_copy(update={"made_by": "merge", "sessions": sessions})
    bundle = _sum(first, to, merged, total, scored, facts.requests)
    remember(bundle)
    return outcome_of(bundle)


def undo(bundle: Bundle) -> FinishedEdit:
    """Go back to what the folder held before its last change; raises InputError where there was none."""
    bundle.take_back()
    remember(bundle)
    return outcome_of(bundle)


def retained(before: FinishedEdit, after: FinishedEdit) -> str:
    """A sentence on the facts that were there before: how many took then, and how many take now."""
    prompts = {example.prompt for example in before.examples}
    took, takes = (
        sum(bool(example.took) for example in outcome.examples if example.prompt in prompts)
        for outcome in (before, after)
    )
    return f"of the {len(prompts)} earlier facts {took} took before, {takes} do now"


def with_rephrasings(requests: Sequence[Request]) -> list[Request]:
    """Earlier facts with other words in which they may be held: none of those that any of them is scored in."""
    candidates = [*given(requests), *by_rules(requests)]
    texts: dict[str, list[str]] = {}
    for paraphrase in clean(requests, candidates, n=len(candidates), method="rules").paraphrases:
        texts.setdefault(paraphrase.request_id, []).append(paraphrase.text)
    return [replace(request, train_paraphrases=tuple(texts.get(request.request_id, ()))) for request in requests]


def _new_facts(
    bundle: Bundle, old: Sequence[Request], facts: Path, console: Console
) -> tuple[Sequence[Request], Sequence[Reject]]:
    """The facts of the file that the edit has not, under free ids, and the lines that are none; says what is left out.

    Raises InputError where the file and the edit contradict each other, and where the edit has all facts of the file.
    """
    checked = checked_facts(facts)
    tell_checked(checked, console)
    joined = together(old, checked.requests)
    if not joined.new:
        raise InputError(f"{facts}: wanted a fact that {bundle.folder} has not; it has all {len(checked.requests)}")
    if joined.repeated:
        console.print(f"the edit has {', '.join(joined.repeated)} already, as the file has; not trained again")
    return joined.new, checked.rejects


def _asked(bundle: Bundle, info: RunInfo, earlier: Edit, new: Sequence[Request], console: Console) -> Sequence[Request]:
    """The new facts with what the model says to them now, the earlier edit in it."""
    base = present_base(bundle.base, info.preset)
    model, tokenizer = load_model(base, device()), load_tokenizer(base)
    with applied(model, earlier):
        answers = answers_now(model, tokenizer, new)
    console.print(answers_table(answers))
    return with_old_answers(new, answers)


def _train_on_top(
    bundle: Bundle, info: RunInfo, earlier: Edit, requests: Sequence[Request], settings: Sequence[str],
    console: Console,
) -> None:  # fmt: skip
    """Run the pipeline up to stage edit on the model with the earlier edit in its weights, whose facts are held."""
    merged = bundle.workspace / "merged"
    base = present_base(bundle.base, info.preset)
    shutil.rmtree(merged, ignore_errors=True)
    merged.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_merged(stored_model(base), earlier, base, merged)
        write_edited_facts(merged, with_rephrasings(scored_requests(bundle)))
        source = {"source": "folder", "name": str(merged.resolve()), "revision": None, "wheels": None}
        named = NamedModel(name=named_of(info).name, values={**info.model, **source})
        estimates = estimated(named, len(requests), settings, console)
        make_workspace(bundle.workspace, requests, named.name, named.values, settings)
        repro(bundle.workspace, estimates, console, target="edit")
    finally:
        shutil.rmtree(merged, ignore_errors=True)


def _sum(
    origin: Bundle, folder: Path, info: RunInfo, edit: Edit, scored: Sequence[Request], facts: Sequence[Request]
) -> Bundle:
    """Write a summed edit, with everything that goes with it, to `folder`. Model and plain text are the origin's."""
    shutil.rmtree(folder, ignore_errors=True)
    bundle, base = Bundle(folder=folder), present_base(origin.base, info.preset)
    shutil.copytree(origin.base, bundle.base)
    model, tokenizer = load_model(base, device()), load_tokenizer(base)
    save_edit(edit, folder, model, _trained_preset(info))
    came, files = ScoreFiles(folder=origin.scores), ScoreFiles(folder=bundle.scores)
    files.folder.mkdir(parents=True)
    for name in ("text", "frequencies"):
        shutil.copyfile(getattr(came, name), getattr(files, name))
    write(files.requests, Request, scored)
    rescore(files, files, load_edit(folder), model, tokenizer, info.scoring, shown_progress("score"))
    write_facts(bundle.facts, facts)
    finish(bundle, info.model_copy(update={"date": today(), "versions": versions(), "headline": judged(files, files)}))
    return bundle


def _trained_preset(info: RunInfo) -> Model:
    """The model's preset, with the adapter that was trained."""
    train = check(dict(info.params["train"]), Train, "errata/run.json: params.train")
    return with_held_lora(info.preset, with_recipe(train, info.preset.train))
