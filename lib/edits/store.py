"""The Edit on disk: a folder with edit.json, its updates and memories as safetensors, its contexts and notes as JSON.

An edit by LoRA is stored as a PEFT adapter, so that PeftModel.from_pretrained and vLLM read the same folder; any other
as the tensors of each update, named `<path>/<field>`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from lib.core.errors import InputError
from lib.core.files import REPRODUCE, read_object, sha256, write_json
from lib.core.params import Model
from lib.edits.adapter import CONFIG, WEIGHTS, load_adapter, save_adapter
from lib.edits.edit import Edit
from lib.edits.memory import Memory, check_memory
from lib.edits.notes import Notebook
from lib.edits.scope import Scope
from lib.edits.updates import Dense, LowRank, Sparse, Update, Vector, check_finite, check_stored
from lib.runtime.tensors import load_tensors, save_tensors

if TYPE_CHECKING:
    from transformers import PreTrainedModel

INFO = "edit.json"
UPDATES = "updates.safetensors"
STATE = "state.safetensors"
CONTEXTS = "contexts.json"
MEMORIES = "memories.safetensors"
NOTES = "notes.json"
SCOPE = "scope.json"
_PARTS = (WEIGHTS, UPDATES, CONTEXTS, MEMORIES, NOTES, SCOPE)
"""Files of what an edit does, of which one edit has some; the others say how and by what it was made."""
_CHECKPOINTS = "checkpoints"
"""Folder in an edit's, of a sequential run: the edits so far, by the number of requests."""
_DROPPED = {"protocol": "single"}
"""What is written where no edit is kept: single edits are scored right after they are made."""
_DIMENSIONS = {
    "left": 2, "right": 2, "delta": 2, "index": 1, "value": 1, "size": 1, "shift": 1,
    "keys": 2, "values": 2, "radii": 1, "labels": 1,
}  # fmt: skip
"""Of the tensors of every kind of record, by the names of its fields."""
_KINDS: dict[frozenset[str], type[Any]] = {
    frozenset(kind.__dataclass_fields__): kind for kind in (LowRank, Dense, Sparse, Vector)
}


def save_edit(edit: Edit, folder: Path, model: PreTrainedModel, preset: Model) -> None:
    """Write `edit`; a folder with edit.json is complete, since that is written last.

    Raises InputError where a value is not finite; nothing is then written.
    """
    for path, update in edit.updates.items():
        check_finite(path, update)
    for path, memory in edit.memories.items():
        check_memory(path, memory)
    edit = replace(edit, info={**edit.info, "model": preset.public_name, "revision": preset.revision})
    if _is_adapter(edit):
        save_adapter(folder, edit.updates, model, preset.lora, preset.public_name, preset.revision)
        edit = replace(edit, updates={})
    write_edit(edit, folder)


def write_edit(edit: Edit, folder: Path) -> None:
    """Write `edit` as it is, tensor by tensor, whatever its kind."""
    folder.mkdir(parents=True, exist_ok=True)
    if edit.updates:
        save_tensors(_parts(edit.updates), folder / UPDATES)
    if edit.contexts:
        write_json(folder / CONTEXTS, edit.contexts)
    if edit.notes is not None:
        write_json(folder / NOTES, asdict(edit.notes))
    if edit.scope is not None:
        save_scope(edit.scope, folder)
    if edit.memories:
        save_tensors(_parts(edit.memories), folder / MEMORIES)
    if edit.state:
        save_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in edit.state.items()}, folder / STATE)
    write_json(folder / INFO, edit.info)


def save_scope(scope: Scope, folder: Path) -> None:
    """Write for which prompts the edit in `folder` is in force."""
    write_json(folder / SCOPE, asdict(scope))


def save_dropped(folder: Path) -> None:
    """Write that no edit is kept, in place of what `folder` holds."""
    clear_edit(folder)
    write_json(folder / INFO, _DROPPED)


def was_dropped(folder: Path) -> bool:
    """Whether `folder` holds what `save_dropped` writes."""
    return (folder / INFO).is_file() and _DROPPED.items() <= read_object(folder / INFO).items()


def checkpoint(folder: Path, edits: int) -> Path:
    """Where the edit in `folder` has its checkpoint after so many requests."""
    return folder / _CHECKPOINTS / f"{edits:08d}"


def sessions(folder: Path, edits: int) -> list[tuple[int, Path]]:
    """The edits to measure: each checkpoint by its number of requests, then the whole one as session `edits`.

    Without checkpoints the whole one is session 0.
    """
    checkpoints = [(int(path.name), path) for path in sorted((folder / _CHECKPOINTS).glob("*"))]
    return [*checkpoints, (edits if checkpoints else 0, folder)]


def clear_edit(folder: Path) -> None:
    """Remove the edit in `folder`, checkpoints with it, so that nothing of it is taken for a part of the next one.

    Files that no edit has stay.
    """
    shutil.rmtree(folder / _CHECKPOINTS, ignore_errors=True)
    for name in (INFO, STATE, CONFIG, *_PARTS):
        (folder / name).unlink(missing_ok=True)


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file of what the edit in `folder` does, by name: weights, memory, notes, contexts."""
    return {name: sha256(folder / name) for name in _PARTS if (folder / name).is_file()}


def load_edit(folder: Path) -> Edit:
    """The edit in `folder`, or that of a plain PEFT LoRA adapter made elsewhere.

    Raises FileNotFoundError where the folder holds neither.
    """
    edit = read_edit(folder)
    return replace(edit, updates=load_adapter(folder)) if (folder / CONFIG).is_file() else edit


def read_edit(folder: Path) -> Edit:
    """What `write_edit` wrote. Raises FileNotFoundError where the folder holds no edit."""
    if not (folder / INFO).is_file() and not (folder / CONFIG).is_file():
        raise FileNotFoundError(f"{folder}: wanted {INFO} or {CONFIG}; found neither. Run `dvc repro edit`.")
    return Edit(
        updates=_updates(folder / UPDATES) if (folder / UPDATES).is_file() else {},
        contexts=_texts(folder / CONTEXTS) if (folder / CONTEXTS).is_file() else {},
        notes=_notes(folder / NOTES) if (folder / NOTES).is_file() else None,
        scope=_scope(folder / SCOPE) if (folder / SCOPE).is_file() else None,
        memories=_memories(folder / MEMORIES) if (folder / MEMORIES).is_file() else {},
        state=load_tensors(folder / STATE) if (folder / STATE).is_file() else {},
        info=read_object(folder / INFO) if (folder / INFO).is_file() else {},
    )


def _is_adapter(edit: Edit) -> bool:
    """Whether PEFT can hold all of it: made by LoRA, low-rank of one rank throughout, and no memory beside it."""
    ranks = {update.left.shape[1] if isinstance(update, LowRank) else 0 for update in edit.updates.values()}
    return edit.info.get("editor") == "lora" and len(ranks) == 1 and 0 not in ranks and not edit.memories


def _parts(records: Mapping[str, Update | Memory]) -> dict[str, Tensor]:
    """The tensors of all records, as path/name."""
    return {
        f"{path}/{name}": tensor.detach().cpu().contiguous()
        for path, record in records.items()
        for name, tensor in vars(record).items()
    }


def _updates(file: Path) -> dict[str, Update]:
    return _records(file, _KINDS)


def _memories(file: Path) -> dict[str, Memory]:
    return _records(file, {frozenset(Memory.__dataclass_fields__): Memory})


def _records(file: Path, kinds: Mapping[frozenset[str], type[Any]]) -> dict[str, Any]:
    """What `_parts` took apart, by path; the names of its tensors say which of `kinds` a record is."""
    parts: dict[str, dict[str, Tensor]] = {}
    for key, tensor in load_tensors(file).items():
        path, _, name = key.rpartition("/")
        parts.setdefault(path, {})[name] = tensor
    for path, part in parts.items():
        if frozenset(part) not in kinds:
            names = " or ".join(" and ".join(sorted(kind)) for kind in kinds)
            raise InputError(
                f"{file}: {path}: wanted the tensors {names}; found {', '.join(sorted(part))}. {REPRODUCE}"
            )
        if not _fits_together(part):
            shapes = ", ".join(f"{name} {[*tensor.shape]}" for name, tensor in sorted(part.items()))
            raise InputError(f"{file}: {path}: wanted tensors that fit together; found {shapes}. {REPRODUCE}")
    check_stored(parts, file)
    return {path: kinds[frozenset(part)](**part) for path, part in parts.items()}


def _fits_together(part: Mapping[str, Tensor]) -> bool:
    """Whether the tensors of one record have the dimensions that its class says, and agree on their sizes."""
    if any(tensor.dim() != _DIMENSIONS[name] for name, tensor in part.items()):
        return False
    if "left" in part:
        return part["left"].shape[1] == part["right"].shape[0]
    if "index" in part:
        index, size = part["index"], part["size"]
        is_inside = len(index) == 0 or bool(0 <= index.min() <= index.max() < size.prod())
        return len(size) == 2 and len(index) == len(part["value"]) and is_inside
    return "keys" not in part or len({len(tensor) for tensor in part.values()}) == 1


def _notes(path: Path) -> Notebook:
    values = read_object(path)
    fields = {name: type(value) for name, value in values.items()}
    expected = {"texts": dict, "encoder": str, "count": int, "threshold": float}
    if fields != expected or not _are_texts(values["texts"]):
        raise InputError(f"{path}: wanted notes: texts by request_id, encoder, count and threshold. {REPRODUCE}")
    return Notebook(**values)


def _scope(path: Path) -> Scope:
    values = read_object(path)
    fields = {name: type(value) for name, value in values.items()}
    if fields != {"prompts": dict, "encoder": str, "threshold": float} or not _are_lists(values["prompts"]):
        raise InputError(f"{path}: wanted a scope: lists of prompts by request_id, encoder, threshold. {REPRODUCE}")
    return Scope(**values)


def _are_texts(values: Mapping[str, Any]) -> bool:
    return all(isinstance(text, str) for text in values.values())


def _are_lists(values: Mapping[str, Any]) -> bool:
    """Whether all of them are lists of texts."""
    return all(isinstance(texts, list) and all(isinstance(text, str) for text in texts) for texts in values.values())


def _texts(path: Path) -> dict[str, str]:
    """Texts by name in a JSON file."""
    values = read_object(path)
    if not _are_texts(values):
        raise InputError(f"{path}: wanted texts by request_id; found other values. {REPRODUCE}")
    return values
