"""What the rows of a table would do, said before any of it is done: settings, GPU memory, hours, what is fetched."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from lib.core import params
from lib.core.editor_presets import AUTO, resolved
from lib.core.errors import InputError
from lib.core.needs import editor_needs
from lib.core.params import Dataset, Lora, Model, check
from lib.core.root import Params, checked_root
from lib.experiments import sizing
from lib.experiments.configs import CONFIGS
from lib.experiments.fetching import Sources, sources
from lib.experiments.needs import Row, needs
from lib.experiments.overrides import PARAMS
from lib.experiments.sizing import Device, Shape
from lib.models.architecture import shape as shape_of

DEVICES = {
    "h100": Device(name="H100 SXM", peak=989e12, share=0.35, memory=3.35e12, link=2e11, layer_seconds=6e-4),
    "a100": Device(name="A100 80 GB", peak=312e12, share=0.45, memory=2.0e12, link=1.5e11, layer_seconds=6e-4),
}
_ABILITY_STAGES = ("abilities", "report")

Values = Mapping[str, Mapping[str, Any]]
"""By file what params.yaml and the presets hold."""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What is known of one row before it runs."""

    settings: Sequence[str]
    """Lines: what is edited, how, with which settings of the editor."""
    cost: str
    """GPU memory and hours, or why they are not known."""
    sources: Sources


def preview(values: Values, stage: str, device: Device | None) -> Preview:
    """Of a row that runs with `values` up to `stage`; without a `device` its cost is not computed.

    Raises InputError where a value, a preset or a combination is wrong.
    """
    root, model, dataset = checked(values)
    preset = values.get(f"configs/editors/{root.editor}.yaml", {})
    config = CONFIGS.get(root.model)
    editor, choices = resolved(preset, root.editor, shape_of(config) if config else None)
    taken = [f"{choice.key} {choice.value}" for choice in choices if choice.value != AUTO]
    own = [choice.key for choice in choices if choice.value == AUTO]
    lines = [*_task(root), *_training(root, model)]
    lines += [f"editor's preset for this model: {', '.join(taken)}"] if taken else []
    lines += [f"by the editor's own rule, a share of the depth: {', '.join(own)}"] if own else []
    if device is None:
        cost = "not computed for a CPU (docs/benchmarks.md has measured figures)"
    elif config is None:
        cost = f"not known: configs/models/{root.model}.yaml is of no published size"
    else:
        row = Row(
            root=root,
            model=model,
            editor=editor,
            shape=_shape(root.model, model.lora.model_dump_json()),
            has_abilities=stage in _ABILITY_STAGES,
        )
        cost = _cost(needs(row, device), device)
    return Preview(settings=lines, cost=cost, sources=sources(root, model, dataset))


def checked(values: Values) -> tuple[Params, Model, Dataset]:
    """params.yaml with every `auto` resolved and the presets that it names, all of them checked."""
    root = check(values[PARAMS], Params, PARAMS)
    models, datasets = f"configs/models/{root.model}.yaml", f"configs/datasets/{root.dataset}.yaml"
    for path in (models, datasets):
        if path not in values:
            raise InputError(f"{path}: wanted a preset of this name; found none")
    model, dataset = (
        check(params.with_recipe_file(values[models]), Model, models),
        check(values[datasets], Dataset, datasets),
    )
    return checked_root(root, model, dataset), model, dataset


@cache
def _shape(name: str, lora: str) -> Shape:
    return sizing.shape_of_model(CONFIGS[name], Lora.model_validate_json(lora))


def _task(root: Params) -> list[str]:
    facts, protocol = root.facts, root.protocol
    count = "all edits" if facts.edits is None else f"{facts.edits:,} edit{'s' * (facts.edits != 1)}"
    draw = "the first ones" if facts.draw == "first" else f"drawn with seed {facts.seed}"
    applied = {"mass": "all at once", "single": "each alone"}.get(protocol.kind, f"batches of {protocol.batch_size}")
    applied += ", as published" if protocol.mode == "published" else ""
    checkpoints = f", scored after {', '.join(map(str, protocol.checkpoints))}" if protocol.checkpoints else ""
    method = root.regularize.method
    share = "" if method == "prune" else f" {root.regularize.keep:g} %"
    return [
        f"{root.editor} on {root.model}; {root.dataset}, {count} ({draw}), {applied}"
        f"{checkpoints if protocol.kind == 'sequential' else ''}"
        f"{'' if method == 'none' else f'; each update regularized: {method}{share}'}"
    ]


def _training(root: Params, model: Model) -> list[str]:
    """What an editor that trains on pairs is given; nothing for the others."""
    para, neighbors, is_trained = root.para, root.neighbors, editor_needs(root.editor).recipe
    if para.method == "none" and not neighbors.are_requested and not is_trained:
        return []
    train = params.with_recipe(root.train, model.train)
    parts = ["no paraphrases" if para.method == "none" else f"{para.n} paraphrases ({para.method})"]
    if neighbors.are_requested:
        encoder = f", by {neighbors.encoder}" if neighbors.kind == "similar" else ""
        parts.append(f"{neighbors.n} {neighbors.kind} neighbors{encoder}")
    else:
        parts.append("no neighbors")
    parts.append("loss on targets alone" if train.mask_prompt else "loss on whole sentences")
    parts += [f"DPO {train.dpo:g}"] if train.dpo else []
    parts += [f"plain text {train.text:g}"] if train.text else []
    if is_trained:
        parts += ["the rest held"] if train.objective == "held" else []
        rank = params.with_held_lora(model, train).lora.r
        parts.append(f"rank {rank}, {train.epochs} epochs, rate {train.lr:g}, batches of {train.batch_size}")
    return [", ".join(parts)]


def _cost(by_stage: Mapping[str, sizing.Need], device: Device) -> str:
    hours = ", ".join(f"{stage} {need.hours:.2g}" for stage, need in by_stage.items())
    total = sum(need.hours for need in by_stage.values())
    gib = max(need.gib for need in by_stage.values())
    return f"{gib:.0f} GiB on one {device.name}; {total:.2g} hours ({hours})"


def lines(previews: Mapping[str, Preview], changes: Mapping[str, Sequence[str]], skipped: Iterable[str]) -> list[str]:
    """All rows with their own changes, then what is fetched, each thing once."""
    printed = []
    for row, of_row in previews.items():
        printed += [row, f"    {', '.join(changes[row])}", *(f"    {line}" for line in of_row.settings)]
        printed.append(f"    needs {of_row.cost}")
    printed += [f"{row}: left out at this scale" for row in skipped]
    for title, name in (
        ("Fetched by the stages facts, base and encoder, where they are not on this machine:", "by_stages"),
        ("To get by hand before:", "by_hand"),
    ):
        unique = dict.fromkeys(line for of_row in previews.values() for line in getattr(of_row.sources, name))
        printed += ["", title, *(f"  - {line}" for line in unique or ["nothing"])]
    return printed
