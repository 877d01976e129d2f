"""All of params.yaml as one record, checked together with the presets that it names and with what excludes what."""

import logging
import os

from pydantic import Field

from lib.core import params
from lib.core.conditions import Run
from lib.core.effects import without_effect
from lib.core.errors import InputError
from lib.core.once import unlogged
from lib.core.params import (
    Abilities,
    Dataset,
    Facts,
    Frequencies,
    Model,
    Neighbors,
    Own,
    Para,
    Protocol,
    Recall,
    Regularize,
    ScopeSettings,
    Scoring,
    Section,
    Statistics,
    Train,
    Weights,
    check,
    did_you_mean,
)
from lib.core.run import is_first

_LOGGED = params.ROOT / ".scratch" / "logged.json"


class Params(Section):
    """Every parameter of a run: the whole of params.yaml."""

    dataset: str = Field(description="which facts: a preset in configs/datasets/")
    model: str = Field(description="which model: a preset in configs/models/")
    editor: str = Field(description="what edits it: a module in lib/editors/ with a preset in configs/editors/")
    seed: int = Field(ge=0, description="of the tiny model's training; the other stages have seeds of their own")
    facts: Facts
    own: Own
    recall: Recall
    para: Para
    neighbors: Neighbors
    statistics: Statistics
    train: Train
    protocol: Protocol
    regularize: Regularize
    scope: ScopeSettings
    weights: Weights
    score: Scoring
    frequencies: Frequencies
    abilities: Abilities


def read_root(*sections: str) -> Params:
    """params.yaml, checked with everything that it names; a stage calls this before it does anything.

    facts.limit, neighbors.kind and neighbors.encoder have the values that `auto` stands for.

    Args:
        sections: keys of params.yaml's top level; what is set in them without effect (lib/core/effects.py) is logged,
            of the stages that DVC runs by the first alone.

    Raises InputError where a key, a preset or a combination is wrong, whichever stage would read it.
    """
    values = params.read_params()
    root = check(values, Params, params.PARAMS_FILE.name)
    model, dataset = params.preset("models", root.model, Model), params.preset("datasets", root.dataset, Dataset)
    root = checked_root(root, model, dataset)
    if is_first():
        lines = without_effect(values, Run.of(root, model, dataset), sections)
        for line in unlogged(lines, _LOGGED, params.PARAMS_FILE) if "DVC_STAGE" in os.environ else lines:
            logging.getLogger(__name__).warning(line)
    return root


def checked_root(root: Params, model: Model, dataset: Dataset) -> Params:
    """`root` with the values that `auto` stands for, given the presets that it names.

    Raises InputError as `read_root` does.
    """
    root = root.model_copy(
        update={
            "facts": params.with_limit(root.facts, dataset),
            "neighbors": params.with_neighbors(root.neighbors, model, dataset),
        }
    )
    _check_editor(root.editor)
    _check_train(params.with_recipe(root.train, model.train), root.protocol)
    _check_checkpoints(root.protocol, root.facts.edits)
    _check_para(root.para)
    return root


def _check_editor(name: str) -> None:
    """Raise InputError unless an editor of this name has a module and a preset; neither is read."""
    modules = {path.stem for path in (params.ROOT / "lib" / "editors").glob("[a-z]*.py")}
    names = sorted(modules & {*params.presets("editors")})
    if name not in names:
        raise InputError(f"editor: wanted one of {', '.join(names)}; found {name!r}{did_you_mean(name, names)}")


def _check_train(train: Train, protocol: Protocol) -> None:
    """Raise InputError where settings of `train`, every `auto` resolved, exclude each other or the protocol."""
    if train.objective == "held" and (train.dpo or train.text or not train.mask_prompt):
        raise InputError(
            "train.objective=held: dpo, text and mask_prompt=false belong to the published objective; found "
            f"train.dpo={train.dpo}, train.text={train.text}, train.mask_prompt={str(train.mask_prompt).lower()}. "
            "Set train.objective=published, or leave them as they are in the repository"
        )
    if train.dpo and not train.mask_prompt:
        raise InputError("train.dpo: wanted train.mask_prompt=true, since the prompt is no answer to prefer")
    if train.masking == "published" and (train.objective == "held" or train.dpo):
        raise InputError(
            "train.masking=published: the released code has neither the objective held nor a DPO branch that runs; "
            f"found train.objective={train.objective}, train.dpo={train.dpo}. Set train.masking=corrected"
        )
    if train.text and protocol.kind == "single":
        raise InputError("train.text: single edits are trained without plain text; set it to 0, or protocol.kind=mass")


def _check_para(para: Para) -> None:
    """Raise InputError where a model is named that would write nothing."""
    if para.model is not None and para.method not in ("auto", "chat", "rewrite"):
        raise InputError(
            f"para.model: it writes by chat, with para.method=chat, rewrite or auto; found para.method={para.method}"
        )


def _check_checkpoints(protocol: Protocol, limit: int | None) -> None:
    """Raise InputError where a checkpoint cannot be the end of a batch; the last batch may be a smaller one."""
    if protocol.kind != "sequential":
        return
    beyond = [number for number in protocol.checkpoints if limit is not None and number > limit]
    if beyond:
        raise InputError(
            f"protocol.checkpoints: wanted numbers of edits up to facts.limit ({limit}); found {beyond[0]}"
        )
    inside = [number for number in protocol.checkpoints if number % protocol.batch_size]
    if len(inside) > 1:
        raise InputError(
            f"protocol.checkpoints: wanted multiples of protocol.batch_size ({protocol.batch_size}), and at most the "
            f"number of all edits beside; found {inside[0]} and {inside[1]}"
        )
