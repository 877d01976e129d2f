"""One editing job, put together from the files and params of a run: shared by the stages that edit."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers

from lib.core import params
from lib.core.editor_presets import editor_preset, explained
from lib.core.errors import InputError
from lib.core.records import Fact, Paraphrase, Request, Text, UneditedFact
from lib.core.root import Params
from lib.core.run import progress
from lib.core.tables import Stored, read
from lib.editors import editor, names, needs
from lib.edits.edited_facts import edited_facts
from lib.methods.context import Context, Earlier, SharedScratch
from lib.methods.training.loop import Step
from lib.models import loading
from lib.protocols.files import Inputs
from lib.protocols.job import Job
from lib.runtime.distributed import Distributed
from lib.runtime.machine import device
from lib.runtime.scratch import code_fingerprint, fingerprint, keep_recent, shared_scratch

_logger = logging.getLogger(__name__)
_KEPT_SEARCHES = 20
"""Of a thousand facts on a model of 8B one takes 32 MB."""


@contextmanager
def editing(
    root: Params, inputs: Inputs, stage: str, distributed: Distributed, record: Callable[[Sequence[Step]], None]
) -> Iterator[tuple[Job, list[Request]]]:
    """The job that `root` and its presets describe, with its scratch space locked, and the requests.

    Raises InputError or FileNotFoundError where a preset or a file is wrong.
    """
    makes = stage == "edit" or root.protocol.kind == "single"
    if makes:
        check_sharded(root.editor, distributed)
    module = editor(root.editor)
    recipe = params.training(root.train, params.preset("models", root.model, params.Model))
    shape = loading.load_shape(inputs.model)
    settings = editor_preset(root.editor, shape, module.Settings)
    if distributed.is_main:
        for line in explained(root.editor, shape):
            _logger.info(line)
    key = fingerprint(
        **{name: value.model_dump() if isinstance(value, params.Section) else value for name, value in recipe.items()},
        editor=root.editor, settings=settings.model_dump(), encoder=root.neighbors.encoder,
        protocol=root.protocol.model_dump(), regularize=root.regularize.model_dump(),
        code=code_fingerprint("stages.edit"), **asdict(inputs),
    )  # fmt: skip
    with shared_scratch(stage, key, distributed) as folder:
        job = Job(
            model=loading.load_model(inputs.model, device(), distributed, making_dtype(root.editor) if makes else None),
            tokenizer=loading.load_tokenizer(inputs.model),
            editor=module,
            settings=settings,
            context=_context(root, inputs, recipe, stage, distributed, record),
            regularize=root.regularize,
            folder=folder,
        )
        yield job, read(inputs.requests, Request)


def _context(
    root: Params, inputs: Inputs, recipe: params.Training, stage: str, distributed: Distributed,
    record: Callable[[Sequence[Step]], None],
) -> Context:  # fmt: skip
    """What the editor may use beside the requests; the main process alone tells how far the work is."""
    return Context(
        **_tables(inputs, root.protocol, with_texts=bool(recipe["train"].text or recipe["held"])),
        **recipe,
        distributed=distributed,
        progress=lambda all_steps: progress(all_steps, f"{stage}: editing") if distributed.is_main else all_steps,
        show=lambda items, name, total: progress(items, f"{stage}: {name}", total) if distributed.is_main else items,
        checkpoints=None,
        record=record,
        encoder=root.neighbors.encoder if recipe["held"] else None,
        statistics=inputs.statistics,
        hypernet=inputs.hypernet,
        earlier=_earlier(edited_facts(inputs.model)),
        shared_scratch=_shared_by_editors(root, inputs, distributed) if root.protocol.kind != "single" else None,
    )


def _shared_by_editors(root: Params, inputs: Inputs, distributed: Distributed) -> SharedScratch:
    """Scratch space that runs of several editors on one model share; the fingerprint covers what decides the bytes."""

    @contextmanager
    def folder_for(module: str, search: Mapping[str, Any]) -> Iterator[Path]:
        where = device()
        key = fingerprint(
            model=inputs.model, dtype=str(making_dtype(root.editor)), search=search,
            code=[code_fingerprint(module), code_fingerprint("lib.models.loading")],
            device=torch.cuda.get_device_name(where) if where.type == "cuda" else where.type,
            versions=[torch.__version__, transformers.__version__],
        )  # fmt: skip
        with shared_scratch(module.rpartition(".")[2], key, distributed) as folder:
            if distributed.is_main:
                keep_recent(folder, _KEPT_SEARCHES)
            yield folder

    return folder_for


def _earlier(facts: Sequence[Request]) -> Earlier:
    """What the model was edited with before the run, to be held."""
    paraphrases = [
        Paraphrase(request_id=fact.request_id, kind="given", text=text, seed=0)
        for fact in facts
        for text in fact.train_paraphrases
    ]
    return Earlier(requests=facts, paraphrases=paraphrases)


def _tables(inputs: Inputs, protocol: params.Protocol, with_texts: bool) -> dict[str, Any]:
    """The fields of Context that are rows of files.

    Paraphrases and unedited facts are gone through once in a mass edit, so they stay in their files; for the other
    protocols they are read, since every session picks from them.
    """
    table: Any = Stored if protocol.kind == "mass" else read
    texts = read(inputs.text, Text) if with_texts else []
    return {
        "paraphrases": table(inputs.paraphrases, Paraphrase),
        "neighbors": table(inputs.neighbors, UneditedFact),
        "pool": Stored(inputs.pool, Fact),
        "texts": [text.text for text in texts if text.split == "train"],
    }


def model_preset(root: Params) -> params.Model:
    """The preset of the model that `root` names, with the adapter that is trained."""
    preset = params.preset("models", root.model, params.Model)
    return params.with_held_lora(preset, params.with_recipe(root.train, preset.train))


def making_dtype(name: str) -> torch.dtype | None:
    """What a model computes in while this editor works on it: float32 where it reads or writes weights, as published.

    None is the model preset's own, for editors that only work beside the weights (lora, ike, rag, none).
    """
    return None if needs(name).sharded else torch.float32


def check_sharded(name: str, distributed: Distributed) -> None:
    """Raise InputError where the model is spread over processes and this editor needs whole weights."""
    if distributed.sharded and not needs(name).sharded:
        able = [name for name in names() if needs(name).sharded]
        raise InputError(
            f"ERRATA_SHARD=1: editor {name} needs whole weights, which no process has; "
            f"with a model spread over processes wanted one of {', '.join(able)}"
        )
