"""Fuzzed folders: a model as transformers stores it, or in PyTorch's own format, an edit, an adapter, a bundle."""

import io
import json
import tempfile
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors.torch import save

from bench.faults.fuzz.cases import Loader
from lib.core.files import write_json
from lib.core.params import Model, preset, read_params
from lib.edits.contexts import Contexts
from lib.edits.store import load_edit
from lib.edits.updates import tensors_of
from lib.handover.bundle import Bundle
from lib.models import fetching, loading
from lib.models.manifest import MANIFEST
from lib.runtime.checkpoints import load_checkpoint, save_checkpoint
from tests.helpers.models import byte_tokenizer, tiny_model

_JSON = ".json"


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


@cache
def _model() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        tiny_model("llama").save_pretrained(folder)
        tokenizer = byte_tokenizer()
        tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
        tokenizer.save_pretrained(folder)
        return _contents(Path(folder))


def _values(files: dict[str, bytes]) -> dict[str, Any]:
    return {name: json.loads(data) for name, data in files.items() if name.endswith(_JSON)}


def _used(base: Path) -> None:
    """The model as stage base and the next stages load it."""
    tokenizer = loading.load_tokenizer(base)
    loading.load_shape(base)
    model = loading.load_model(base, torch.device("cpu"))
    ids = tokenizer("Ada lives in Rome").input_ids
    model(torch.tensor([ids]))


def _folder(folder: Path) -> None:
    """A folder that the user names: -S model=folder."""
    base = folder.parent / "base"
    base.mkdir(exist_ok=True)
    fetching.write_manifest(base, preset("models", "folder", Model).model_copy(update={"name": str(folder)}))
    _used(base)


def _manifest(folder: Path) -> None:
    """What stage base left, with a note of its files."""
    _used(folder)


def _with_manifest() -> dict[str, bytes]:
    values: dict[str, Any] = {
        "source": "tiny",
        "name": "small",
        "revision": None,
        "dtype": "float32",
        "template": "auto",
        "conversion": None,
        "files": {},
    }
    return {**_model(), MANIFEST: json.dumps(values).encode()}


def _pickled_model() -> dict[str, bytes]:
    sink = io.BytesIO()
    torch.save({name: tensor.clone() for name, tensor in tiny_model("llama").state_dict().items()}, sink)
    return {name: data for name, data in _model().items() if not name.endswith(".safetensors")} | {
        "pytorch_model.bin": sink.getvalue()
    }


def _pickled(folder: Path) -> None:
    from lib.models import pickled

    pickled.convert(folder, folder.parent / "converted")


_PATH = "model.layers.0.self_attn.q_proj"


@cache
def _edit() -> dict[str, bytes]:
    tensors = {
        f"{_PATH}/left": torch.ones(32, 2),
        f"{_PATH}/right": torch.ones(2, 32),
        "model.layers.1.mlp.down_proj/delta": torch.ones(32, 48),
    }
    return {
        "edit.json": b'{"editor": "rome", "edits": 1}',
        "contexts.json": b'{"e0": "Ada lives in Rome."}',
        "updates.safetensors": save(tensors),
    }


@cache
def _memory() -> dict[str, bytes]:
    """A memory beside a module, as editor grace makes it."""
    part = {
        "keys": torch.ones(2, 48),
        "values": torch.ones(2, 32),
        "radii": torch.ones(2),
        "labels": torch.tensor([7, -(2**62)]),
    }
    return {
        "edit.json": b'{"editor": "grace", "edits": 2}',
        "memories.safetensors": save({f"model.layers.1.mlp.down_proj/{name}": tensor for name, tensor in part.items()}),
    }


_NOTES = {"texts": {"e0": "Ada lives in Rome", "e1": "李住在 上海"}, "encoder": "hashing", "count": 2, "threshold": 0.5}


def _read_notes(folder: Path) -> None:
    """Read, and stated before a prompt, as editor rag's notes are."""
    before = Contexts.of(load_edit(folder), "cpu")
    before("e0", "Ada lives in")


@cache
def _adapter() -> dict[str, bytes]:
    from lib.edits.adapter import save_adapter
    from lib.edits.updates import LowRank

    lora = preset("models", "tiny", Model).lora.model_copy(update={"r": 2, "targets": ["q_proj"]})
    with tempfile.TemporaryDirectory() as folder:
        save_adapter(
            Path(folder),
            {_PATH: LowRank(left=torch.ones(32, 2), right=torch.ones(2, 32))},
            tiny_model("llama"),
            lora,
            "small",
        )
        write_json(Path(folder) / "edit.json", {"editor": "lora"})
        return _contents(Path(folder))


def _read_edit(folder: Path) -> None:
    """Read and laid onto the model that it belongs to."""
    from lib.edits.apply import applied

    edit = load_edit(folder)
    for update in edit.updates.values():
        tensors_of(update)
    with applied(_tiny(), edit):
        _tiny()(torch.tensor([[1, 2, 3]]))


@cache
def _tiny() -> Any:
    return tiny_model("llama")


@cache
def _checkpoint() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint({"a": torch.arange(100.0)}, Path(folder) / "step-1.safetensors", {"step": "1"})
        return _contents(Path(folder))


def _read_checkpoint(folder: Path) -> None:
    load_checkpoint(folder / "step-1.safetensors")


def _run_info() -> dict[str, Any]:
    params = read_params()
    return {
        "made_by": "fix",
        "date": "2026-01-01",
        "model": read_params(Path("configs/models/tiny.yaml")),
        "params": {"score": params["score"]},
        "settings": [],
        "versions": {"torch": "2"},
        "headline": {"n": 1},
        "sessions": [["e0"]],
    }


def _bundle(folder: Path) -> None:
    """errata/run.json of a folder that was handed over."""
    (folder / "errata").mkdir()
    (folder / "run.json").rename(folder / "errata" / "run.json")
    info = Bundle(folder=folder).info()
    info.preset, info.scoring, sum(len(session) for session in info.sessions), dict(info.headline)


def _encode(name: str, values: Any, random: Random) -> bytes | None:
    try:
        return json.dumps(values).encode()
    except (ValueError, RecursionError):
        return None


LOADERS = (
    Loader(name="model folder", files=_model(), values=_values(_model()), read=_folder, encode=_encode),
    Loader(
        name="models/base",
        files=_with_manifest(),
        values={MANIFEST: json.loads(_with_manifest()[MANIFEST])},
        read=_manifest,
        encode=_encode,
        fixed=tuple(_model()),
    ),
    Loader(
        name="pytorch_model.bin",
        files=_pickled_model(),
        values={},
        read=_pickled,
        fixed=tuple(name for name in _pickled_model() if not name.endswith(".bin")),
    ),
    Loader(name="edit", files=_edit(), values=_values(_edit()), read=_read_edit, encode=_encode),
    Loader(
        name="memories of an edit",
        files=_memory(),
        values={"edit.json": json.loads(_memory()["edit.json"])},
        read=_read_edit,
        encode=_encode,
    ),
    Loader(
        name="notes of an edit",
        files={"edit.json": b'{"editor": "rag"}', "notes.json": json.dumps(_NOTES).encode()},
        values={"edit.json": {"editor": "rag"}, "notes.json": _NOTES},
        read=_read_notes,
        encode=_encode,
    ),
    Loader(name="PEFT adapter", files=_adapter(), values=_values(_adapter()), read=_read_edit, encode=_encode),
    Loader(name="checkpoint", files=_checkpoint(), values={}, read=_read_checkpoint),
    Loader(
        name="errata/run.json",
        files={"run.json": json.dumps(_run_info()).encode(), "edit.json": b"{}"},
        values={"run.json": _run_info()},
        read=_bundle,
        encode=_encode,
        fixed=("edit.json",),
    ),
)
