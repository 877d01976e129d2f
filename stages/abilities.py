"""Stage `abilities`: what else the model can do, before the edit and after it, and at checkpoints on the way."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from lib.core import params
from lib.core.files import write_json
from lib.core.records import Ability, Fact, Paraphrase, Request, Text
from lib.core.root import read_root
from lib.core.run import file_options, run_stage
from lib.core.tables import read, write

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from lib.abilities.measure import Measured, Measurer
    from lib.runtime.distributed import Distributed


def main(options: argparse.Namespace) -> None:
    """Read params.yaml, the model and the edit; write one row an example, the harness's results, and the figures."""
    from lib.models import loading
    from lib.runtime.distributed import process_group, wants_shards
    from lib.runtime.launch import relaunch
    from lib.runtime.machine import device
    from lib.runtime.scratch import shared_scratch

    if wants_shards():
        relaunch("stages.abilities", sys.argv[1:])
    root = read_root("abilities")
    settings = root.abilities
    with process_group() as processes:
        measurer, left_out = _measurer(options, settings, processes)
        tokenizer = loading.load_tokenizer(options.model)
        model = loading.load_model(options.model, device(), processes)
        with shared_scratch("abilities", _key(options, settings, measurer), processes) as folder:
            before = measurer.remembered(folder, lambda: (model, tokenizer))
        after = dict(_after(measurer, model, tokenizer, root.scope, options))
        if processes.is_main:
            _write(options, measurer, before, after, left_out)


def _write(
    options: argparse.Namespace, measurer: Measurer, before: Measured, after: Mapping[int, Measured],
    left_out: Mapping[str, str],
) -> None:  # fmt: skip
    from lib.abilities.figures import figures

    every = [before, *after.values()]
    write(options.abilities, Ability, (row for measured in every for row in measured.rows))
    write_json(options.results / "before.json", before.harness)
    for session, measured in after.items():
        write_json(options.results / f"after-{session}.json", measured.harness)
    indices = {name: list(drawn_indices) for name, drawn_indices in measurer.tasks.indices.items()}
    write_json(options.results / "indices.json", indices)
    tasks = figures(before.figures, list(after.values())[-1].figures if after else ())
    write_json(
        options.figures,
        {
            "mode": measurer.settings.mode,
            "tasks": tasks,
            "sessions": {
                str(session): figures(before.figures, measured.figures)
                for session, measured in list(after.items())[:-1]
            },
            "not_measured": dict(left_out) | ({} if after else {"after": "protocol.kind=single keeps no edit"}),
        },
    )
    headline = {task: figure["after"] for task, figure in tasks.items() if "after" in figure}
    write_json(options.metrics, headline)


def _measurer(
    options: argparse.Namespace, settings: params.Abilities, processes: Distributed
) -> tuple[Measurer, dict[str, str]]:
    """What measures, and why what was asked for is not measured."""
    from lib.abilities import harness, tasks
    from lib.abilities.measure import OF_THE_POOL, Measurer, unfit
    from lib.abilities.perplexity import PERPLEXITY

    pool = read(options.pool, Fact)
    texts = [text.text for text in read(options.text, Text) if text.split == "heldout"]
    left_out = {name: why for name in settings.tasks if name in OF_THE_POOL and (why := unfit(pool))}
    if PERPLEXITY in settings.tasks and not texts:
        left_out[PERPLEXITY] = "the dataset has no held-out text"
    names = [name for name in settings.tasks if name not in left_out and name != PERPLEXITY]
    loaded = harness.load(
        names,
        published=settings.mode == "published",
        extra_metadata=tasks.given(folder=settings.folder, pool=options.pool, seed=settings.seed),
        limit=settings.limit,
        seed=settings.seed,
    )
    texts = texts if PERPLEXITY in settings.tasks else []
    return Measurer(tasks=loaded, texts=texts, settings=settings, distributed=processes), left_out


def _key(options: argparse.Namespace, settings: params.Abilities, measurer: Measurer) -> str:
    """What the figures before the edit depend on."""
    from lib.abilities import harness, tasks
    from lib.runtime.scratch import code_fingerprint, fingerprint

    return fingerprint(
        base=options.model,
        settings=settings.model_dump(exclude={"checkpoints"}),
        pool=options.pool,
        text=options.text,
        tasks=harness.TASKS,
        harness=version("lm-eval"),
        code=code_fingerprint("stages.abilities"),
        **tasks.data_files(settings.folder, measurer.tasks.metadata()),
    )


def _after(
    measurer: Measurer, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, scope: params.ScopeSettings,
    options: argparse.Namespace,
) -> Iterator[tuple[int, Measured]]:  # fmt: skip
    """Every session of a sequential run, by its number of edits; else the whole run as session 0; none for `single`.

    Of a sequential run the last session alone where abilities.checkpoints is false.
    """
    from lib.edits.scope import scope_of
    from lib.edits.store import load_edit, sessions, was_dropped

    if was_dropped(options.edit):
        return
    requests, paraphrases = read(options.requests, Request), read(options.paraphrases, Paraphrase)
    stored = sessions(options.edit, len(requests))
    for session, folder in stored if measurer.settings.checkpoints else stored[-1:]:
        scoped = load_edit(folder).scoped(partial(scope_of, requests[: session or None], paraphrases, settings=scope))
        yield session, measurer.run(model, tokenizer, "after", session, scoped)


def parser() -> argparse.ArgumentParser:
    """The stage's options."""
    inputs = ("requests", "pool", "text", "paraphrases", "model", "edit")
    return file_options(__doc__, *inputs, "abilities", "results", "figures", "metrics")


if __name__ == "__main__":
    run_stage(main, parser())
