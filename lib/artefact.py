"""The Edit on disk: a folder with edit.json, and its updates as safetensors.

An edit by LoRA is stored as a PEFT adapter, so that PeftModel.from_pretrained and vLLM read the same folder; any other
as one tensor or two for every module.
"""

from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from lib.edit import Dense, Edit, LowRank, Update
from lib.lora import CONFIG, load_adapter, save_adapter
from lib.params import Model
from lib.stage import read_json, write_json

INFO = "edit.json"
UPDATES = "updates.safetensors"


def save_edit(edit: Edit, folder: Path, model: Any, preset: Model) -> None:
    """Write `edit`; a folder with edit.json is complete, since that is written last."""
    folder.mkdir(parents=True, exist_ok=True)
    if edit.info.get("editor") == "lora":
        save_adapter(folder, edit.updates, model, preset.lora, preset.name)
    else:
        save_file(_tensors(edit), folder / UPDATES)
    write_json(folder / INFO, {**edit.info, "model": preset.name, "revision": preset.revision})


def load_edit(folder: Path) -> Edit:
    """The edit in `folder`, or that of a plain PEFT LoRA adapter made elsewhere.

    Raises FileNotFoundError where the folder holds neither.
    """
    if not (folder / INFO).is_file() and not (folder / CONFIG).is_file():
        raise FileNotFoundError(f"{folder}: wanted {INFO} or {CONFIG}; found neither. Run `dvc repro edit`.")
    info = read_json(folder / INFO) if (folder / INFO).is_file() else {}
    updates = load_adapter(folder) if (folder / CONFIG).is_file() else _updates(load_file(folder / UPDATES))
    return Edit(updates=updates, info=info)


def _tensors(edit: Edit) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for path, update in edit.updates.items():
        parts = {"left": update.left, "right": update.right} if isinstance(update, LowRank) else {"delta": update.delta}
        tensors |= {f"{path}/{name}": one.contiguous() for name, one in parts.items()}
    return tensors


def _updates(tensors: dict[str, Tensor]) -> dict[str, Update]:
    parts: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        path, _, name = key.rpartition("/")
        parts.setdefault(path, {})[name] = tensor
    return {path: LowRank(**one) if "left" in one else Dense(**one) for path, one in parts.items()}
