"""The folder of stage `base`: where the weights are, at which revision, with which hashes.

Only a tiny model's weights lie beside manifest.json. A hub model stays in the hub's cache at its pinned revision, a
local folder where it is; what had to be converted (GGUF, *.bin) is in the cache of downloads, under the key
`conversion` of the manifest.
"""

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError
from pydantic import Field

from lib.core import cache
from lib.core.files import read_object, refuse_changed
from lib.core.presets import ModelDtype, ModelSource, ModelTemplate
from lib.core.section import Section, check

MANIFEST = "manifest.json"
HUB_FILES = ("*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "tokenizer*",
             "vocab*", "merges.txt", "special_tokens_map.json", "added_tokens.json", "chat_template*")  # fmt: skip


class Manifest(Section):
    """What manifest.json says."""

    source: ModelSource = Field(description="as in the model's preset")
    name: str = Field(description="as in the model's preset")
    revision: str | None = Field(default=None, description="as in the model's preset")
    dtype: ModelDtype = Field(default="float32", description="as in the model's preset")
    template: ModelTemplate = Field(default="auto", description="as in the model's preset")
    conversion: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$",
        description="the key of a model that was converted, else null",
    )
    files: dict[str, str] = Field(default={}, description="SHA-256 of the model's files, by name")


def read_manifest(base: Path) -> dict[str, Any]:
    """The values of the manifest in `base`, checked. Raises InputError naming a key that is wrong."""
    return check(read_object(base / MANIFEST), Manifest, str(base / MANIFEST)).model_dump()


def weights_folder(base: Path) -> Path:
    """The folder that holds weights and tokenizer of the model whose manifest is in `base`.

    Raises FileNotFoundError where they are not on this machine: stage `base` fetches them.
    """
    manifest = read_manifest(base)
    remedy = "run `dvc repro --force --single-item base` on this machine to fetch it"
    if manifest.get("conversion"):
        folder = conversion_folder(manifest["conversion"])
        if not folder.is_dir():
            raise FileNotFoundError(f"{base / MANIFEST}: {manifest['name']} is not at {folder}; {remedy}")
        return folder
    if manifest["source"] == "tiny":
        return base
    if manifest["source"] == "folder":
        return Path(manifest["name"])
    try:
        return Path(snapshot_download(manifest["name"], revision=manifest["revision"], local_files_only=True))
    except LocalEntryNotFoundError:
        raise FileNotFoundError(
            f"{base / MANIFEST}: {manifest['name']} at {manifest['revision']} is not in the local hub cache; {remedy}"
        ) from None


def check_files(base: Path, *, weights: bool) -> None:
    """Raise InputError where a file of the model in `base` is absent, or another one than its manifest notes.

    What a hub's cache holds is not looked at: its revision is pinned, and the hub checks what it fetches.

    Args:
        base: the folder of stage `base`.
        weights: whether to look at *.safetensors too, which takes about a second a gigabyte.
    """
    manifest = read_manifest(base)
    if manifest["source"] == "hub" and not manifest.get("conversion"):
        return
    hashes = {
        name: digest
        for name, digest in manifest.get("files", {}).items()
        if any(fnmatch(name, pattern) for pattern in HUB_FILES) and (weights or not name.endswith(".safetensors"))
    }
    refuse_changed(
        weights_folder(base),
        hashes,
        "Put the file back; or, where the model was changed on purpose, run `dvc repro --force --single-item base`.",
    )


def conversion_folder(key: str) -> Path:
    """Where a model is kept that was converted into what transformers loads."""
    return cache.cache_folder() / "models" / key
