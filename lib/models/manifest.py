"""The folder of stage `base`: where the weights are, at which revision, with which hashes.

For a tiny model or a local folder the weights lie beside manifest.json; for a hub model it names the pinned revision
and the hash of every file, and the weights stay in the hub's cache.
"""

from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from lib.core.files import read_json, sha256, write_json
from lib.core.params import Model

MANIFEST = "manifest.json"
HUB_FILES = ("*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "tokenizer*",
             "vocab*", "merges.txt", "special_tokens_map.json", "added_tokens.json")  # fmt: skip


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
