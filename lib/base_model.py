"""The unedited model: where it is, how it is loaded, and what its manifest says.

Stage `base` writes a folder with manifest.json. For a tiny model or a local folder the weights lie beside it; for a
hub model the manifest names the pinned revision and the hash of every file, and the weights stay in the hub's cache.
"""

from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError
from transformers import AutoModelForCausalLM, AutoTokenizer

from lib.core.files import read_json, sha256, write_json
from lib.core.params import Model
from lib.runtime.distributed import ALONE, World
from lib.sharding import sharded

MANIFEST = "manifest.json"
HUB_FILES = ("*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "tokenizer*",
             "vocab*", "merges.txt", "special_tokens_map.json", "added_tokens.json")  # fmt: skip


def dtype_on(where: torch.device, preset: str) -> torch.dtype:
    """The dtype that a model computes in: the preset's on a GPU, float32 on a CPU."""
    return torch.float32 if where.type == "cpu" else getattr(torch, preset)


def weights_folder(base: Path) -> Path:
    """The folder that holds weights and tokenizer of the model whose manifest is in `base`.

    Raises FileNotFoundError where a hub model is not in the local cache: stage `base` downloads it.
    """
    manifest = read_json(base / MANIFEST)
    if manifest["source"] == "tiny":
        return base
    if manifest["source"] == "folder":
        return Path(manifest["name"])
    try:
        return Path(snapshot_download(manifest["name"], revision=manifest["revision"], local_files_only=True))
    except LocalEntryNotFoundError:
        raise FileNotFoundError(
            f"{manifest['name']} at {manifest['revision']} is not in the local hub cache; "
            "run `dvc repro --force --single-item base` on this machine to download it"
        ) from None


def load_tokenizer(base: Path) -> Any:
    """The model's tokenizer. It is only ever asked for input ids: token_type_ids would change GPT-2's answers."""
    return AutoTokenizer.from_pretrained(weights_folder(base), local_files_only=True)


def load_model(base: Path, where: torch.device, world: World = ALONE) -> Any:
    """The model in evaluation mode on `where`, every parameter frozen; spread over the processes of a sharded world.

    Raises ValueError where it does not split into a decoder and an output embedding as the library needs.
    """
    folder = weights_folder(base)
    dtype = dtype_on(where, read_json(base / MANIFEST)["dtype"])

    def read() -> Any:
        with quiet_transformers():
            found = AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, local_files_only=True, use_safetensors=True
            )
        return found.eval().requires_grad_(False)

    model = sharded(read, where, world) if world.sharded else read().to(where)
    check_split(model)
    return model


@torch.inference_mode()
def check_split(model: Any) -> None:
    """Raise ValueError unless output embedding(decoder(x)) are the model's own logits.

    Everything here computes logits only where they are needed, so a model that does more between the two (a scale, a
    soft cap) would be scored wrongly without a word.
    """
    ids = torch.arange(1, 5, device=model.device)[None]
    own = model(ids).logits.float()
    split = model.get_output_embeddings()(model.base_model(ids).last_hidden_state).float()
    difference = (own - split).abs().max().item()
    if not difference <= 1e-2 * own.abs().max().clamp(min=1).item():
        raise ValueError(
            f"{type(model).__name__}: its logits differ from output_embedding(decoder(x)) by {difference:.3g}; "
            "the model scales or caps them, which is not supported"
        )


def write_manifest(folder: Path, preset: Model) -> None:
    """Fetch a hub model at its pinned revision, if the preset names one, and say in `folder` what the model is.

    Raises ValueError where a hub model has no pinned revision, FileNotFoundError where a local folder has no weights.
    """
    weights = folder
    if preset.source == "hub":
        if preset.revision is None:
            raise ValueError(f"model preset {preset.name}: a hub model needs its revision, 40 hexadecimal digits")
        weights = Path(snapshot_download(preset.name, revision=preset.revision, allow_patterns=list(HUB_FILES)))
    elif preset.source == "folder":
        weights = Path(preset.name)
    if not any(weights.glob("*.safetensors")):
        raise FileNotFoundError(
            f"{weights}: wanted a model as transformers stores it, with weights in *.safetensors; found none. "
            "Convert other formats with save_pretrained(folder, safe_serialization=True) and give model=folder."
        )
    write_json(
        folder / MANIFEST,
        {
            "source": preset.source,
            "name": preset.name,
            "revision": preset.revision,
            "dtype": preset.dtype,
            "files": file_hashes(weights),
        },
    )


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file in `folder`, by name, the manifest left out."""
    files = (one for one in sorted(folder.iterdir()) if one.is_file() and one.name != MANIFEST)
    return {one.name: sha256(one) for one in files}


class quiet_transformers:  # noqa: N801 - reads as the statement it is
    """Within it, transformers shows no progress bars of its own; restored on exit."""

    def __enter__(self) -> None:
        self._shown = transformers.utils.logging.is_progress_bar_enabled()
        transformers.utils.logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        if self._shown:
            transformers.utils.logging.enable_progress_bar()
