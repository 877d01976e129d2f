"""One editing job, put together from the files and params of a run: shared by the stages that edit."""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lib.core import params
from lib.core.errors import InputError
from lib.core.records import Fact, Paraphrase, Request, Text, UneditedFact
from lib.core.run import progress
from lib.core.tables import Stored, read
from lib.editors import editor, names, needs
from lib.methods.context import Context
from lib.methods.training.loop import Step
from lib.models import loading
from lib.protocols.job import Job
from lib.runtime.distributed import Distributed
from lib.runtime.machine import device
from lib.runtime.scratch import code_fingerprint, fingerprint, shared_scratch

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The files and folders that editing reads."""

    requests: Path
    pool: Path
    text: Path
    paraphrases: Path
    neighbors: Path
    model: Path
    statistics: Path
    hypernet: Path

    @classmethod
    def add_to(cls, parser: argparse.ArgumentParser) -> None:
        """Give `parser` an option for every one of them."""
        for name in cls.__dataclass_fields__:
            parser.add_argument(f"--{name}", type=Path, required=True)

    @classmethod
    def of(cls, options: argparse.Namespace) -> "Inputs":
        """From the parsed options."""
        return cls(**{name: getattr(options, name) for name in cls.__dataclass_fields__})


@contextmanager
def editing(
    inputs: Inputs, stage: str, distributed: Distributed, record: Callable[[Sequence[Step]], None],
    chosen_instead: Mapping[str, str] = _NOTHING,
) -> Iterator[tuple[Job, list[Request]]]:  # fmt: skip
    """The job that params.yaml and its presets describe, with its scratch space locked, and the requests.

    `chosen_instead` names a model's or an editor's preset that is taken in place of params.yaml's. Raises InputError or
    FileNotFoundError where a param, a preset or a file is wrong.
    """
    named = {**params.read_params(), **chosen_instead}
    preset = params.preset("models", named["model"], params.Model)
    train = params.with_recipe(params.section("train", params.Train), preset.train)
    protocol = params.section("protocol", params.Protocol)
    regularize = params.section("regularize", params.Regularize)
    module = editor(named["editor"])
    if stage == "edit" or protocol.kind == "single":
        check_sharded(named["editor"], distributed)
    settings = params.editor_preset(named["editor"], named["model"], module.Settings)
    held = preset.train.held if train.objective == "held" else None
    lora = params.with_held_lora(preset, train).lora
    key = fingerprint(
        held=held.model_dump() if held else None,
        train=train.model_dump(), lora=lora.model_dump(), editor=named["editor"], settings=settings.model_dump(),
        protocol=protocol.model_dump(), regularize=regularize.model_dump(),
        code=code_fingerprint("stages.edit"), **asdict(inputs),
    )  # fmt: skip
    with shared_scratch(stage, key, distributed) as folder:
        context = Context(
            **_tables(inputs, protocol, with_texts=bool(train.text or held)),
            lora=lora,
            train=train,
            held=held,
            distributed=distributed,
            progress=lambda all_steps: progress(all_steps, f"{stage}: editing") if distributed.is_main else all_steps,
            checkpoints=None,
            record=record,
            statistics=inputs.statistics,
            hypernet=inputs.hypernet,
        )
        job = Job(
            model=loading.load_model(inputs.model, device(), distributed),
            tokenizer=loading.load_tokenizer(inputs.model),
            editor=module,
            settings=settings,
            context=context,
            regularize=regularize,
            folder=folder,
        )
        yield job, read(inputs.requests, Request)


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


def model_preset() -> params.Model:
    """The preset of the model that params.yaml names, with the adapter that is trained."""
    named: dict[str, Any] = params.read_params()
    preset = params.preset("models", named["model"], params.Model)
    return params.with_held_lora(preset, params.with_recipe(params.section("train", params.Train), preset.train))


def check_sharded(name: str, distributed: Distributed) -> None:
    """Raise InputError where the model is spread over processes and this editor needs whole weights."""
    if distributed.sharded and not needs(name).sharded:
        able = [name for name in names() if needs(name).sharded]
        raise InputError(
            f"ERRATA_SHARD=1: editor {name} needs whole weights, which no process has; "
            f"with a model spread over processes wanted one of {', '.join(able)}"
        )
