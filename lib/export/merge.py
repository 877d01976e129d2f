"""An edit merged into the weights: a plain checkpoint that transformers reads without this project.

Merging has no way back: W + dW - dW is not W in floating point. What undoes a merge is the base model.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lib.core.errors import InputError
from lib.core.files import put_in_place, write_json
from lib.core.presets import public_name
from lib.edits.apply import check_fits, own_orientation, tied
from lib.edits.edit import Edit
from lib.edits.updates import Vector
from lib.models.loading import read_model
from lib.models.manifest import HUB_FILES, read_manifest, weights_folder
from lib.runtime.quiet import quiet_transformers
from lib.runtime.tensors import saving

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PROVENANCE = "errata.json"
Complete = Callable[[Path], None]
"""Adds to a folder with a checkpoint what others want in it."""
_WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "config.json")


@dataclass(frozen=True, kw_only=True)
class StoredForm:
    """How merged weights are stored."""

    dtype: torch.dtype
    seed: int | None = None
    """Of stochastic rounding; None rounds to nearest."""

    def described(self) -> dict[str, str | int | None]:
        """As plain JSON values."""
        rounding = "nearest" if self.seed is None else "stochastic"
        return {"dtype": str(self.dtype).removeprefix("torch."), "rounding": rounding, "seed": self.seed}

    def __str__(self) -> str:
        name = str(self.dtype).removeprefix("torch.")
        return name if self.seed is None else f"{name}, rounded stochastically"


def stochastically_rounded(values: Tensor, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """`values`, float32, each as one of the two nearest numbers of `dtype`, in the mean itself.

    Where an update is smaller than half the spacing of the weights, rounding to nearest undoes all of it; this keeps it
    in the mean over entries (arXiv 1502.02551). float32 has 16 bits behind those of bfloat16, 13 behind float16's.
    """
    if dtype == torch.float32:
        return values
    bits = {torch.bfloat16: 16, torch.float16: 13}[dtype]
    noise = torch.randint(0, 1 << bits, values.shape, generator=generator, dtype=torch.int32).to(values.device)
    return ((values.contiguous().view(torch.int32) + noise) & -(1 << bits)).view(torch.float32).to(dtype)


def stored_model(base: Path) -> PreTrainedModel:
    """The model of the manifest in `base` on the CPU, in the dtype that its weights are stored in."""
    return read_model(weights_folder(base), "auto")


def check_in_weights(edit: Edit) -> None:
    """Raise InputError where the edit is what no weight can hold: a context, notes, a memory, or one with a scope."""
    if edit.contexts:
        raise InputError(
            f"the edit by {edit.info.get('editor', 'this editor')} is text before every prompt ({len(edit.contexts)} "
            "contexts), which no weight can hold; wanted an edit that changes weights. Its texts are in contexts.json"
        )
    if edit.scope is not None:
        raise InputError(
            "the edit is in force for prompts near its facts alone (scope.json), which no weight can hold; wanted an "
            "edit for every prompt (scope.encoder=null). `errata ask`, `errata chat` and `errata serve` ask this one"
        )
    if edit.notes is not None or edit.memories:
        kind = f"a memory beside {', '.join(edit.memories)}" if edit.memories else "notes to retrieve"
        raise InputError(
            f"the edit by {edit.info.get('editor', 'this editor')} is {kind}, which no weight can hold; wanted an edit "
            "that changes weights. It works where this project applies it"
        )


@torch.no_grad()
def merged(model: PreTrainedModel, edit: Edit, form: StoredForm | None = None) -> PreTrainedModel:
    """Another model with the edit in its weights, as `form` has it (None: the stored dtype, rounded to nearest).

    Sums are made in float32 and rounded once. In the stored dtype the result shares every weight that the edit leaves
    alone, and `model` stays as it was; in another one `model` is used up. Where an update touches an embedding or a
    head that are one weight, they become two, so that the other stays as it was. Raises InputError where the edit has a
    context, or does not fit the model.
    """
    check_in_weights(edit)
    check_fits(model, edit)
    form = form or StoredForm(dtype=model.dtype)
    generator = torch.Generator().manual_seed(form.seed) if form.seed is not None else None
    # Only the modules are copied: what is already in the memo of deepcopy is taken as it is.
    result = copy.deepcopy(model, {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())})
    if tied(model) & set(edit.updates):
        result.config.tie_word_embeddings = False
        result.all_tied_weights_keys = {}
    for path, update in edit.updates.items():
        owner, _, name = path.rpartition(".") if isinstance(update, Vector) else (path, "", "weight")
        module = result.get_submodule(owner)
        change = update.shift if isinstance(update, Vector) else own_orientation(module, update.dense())
        weight = getattr(module, name)
        total = weight.float() + change.to(weight.device).float()
        rounded = total.to(form.dtype) if generator is None else stochastically_rounded(total, form.dtype, generator)
        setattr(module, name, nn.Parameter(rounded, requires_grad=weight.requires_grad))
    return result if form.dtype == model.dtype else result.to(form.dtype)


def as_stored(folder: Path) -> None:
    """Leave a checkpoint as transformers has stored it."""


@contextmanager
def written(
    model: PreTrainedModel, edit: Edit, base: Path, folder: Path, form: StoredForm | None = None,
    complete: Complete = as_stored,
) -> Iterator[Path]:  # fmt: skip
    """Within it, a folder with `model` and `edit` merged, and tokenizer and generation config of the base.

    `model` is that of the manifest in `base`; `complete` adds to the folder what others want in it. It becomes `folder`
    at the end, or is gone where an error ends it; errata.json says what the checkpoint was made of. Raises InputError
    as `merged` and `complete` do, and where `folder` holds something already.
    """
    check_new(folder)
    form = form or StoredForm(dtype=model.dtype)
    merged_model = merged(model, edit, form)
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        with quiet_transformers(), saving(folder):
            merged_model.save_pretrained(unfinished)
        for file in _beside_the_weights(weights_folder(base)):
            shutil.copy2(file, unfinished / file.name)
        manifest = read_manifest(base)
        origin = {name: manifest[name] for name in ("revision", "source")}
        origin["name"] = public_name(manifest["source"], manifest["name"])
        write_json(unfinished / PROVENANCE, {"base": origin, "edit": dict(edit.info), "weights": form.described()})
        complete(unfinished)
        yield unfinished
        put_in_place(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_merged(model: PreTrainedModel, edit: Edit, base: Path, folder: Path, form: StoredForm | None = None) -> None:
    """Write `model` with `edit` merged to `folder`: whole or not. Raises as `written` does."""
    with written(model, edit, base, folder, form):
        pass


def check_new(folder: Path) -> None:
    """Raise InputError where `folder` holds something already."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: wanted a folder that is new or empty; give another, or remove it first")


def _beside_the_weights(folder: Path) -> list[Path]:
    """The base's tokenizer and generation files."""
    patterns = [*(hub_file for hub_file in HUB_FILES if hub_file not in _WEIGHTS), "chat_template*"]
    return sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()})
