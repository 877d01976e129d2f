"""Where a dataset's files come from: the user's folder, else the cache of downloads, else a mirror."""

import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pooch

from lib.params import SourceFile
from lib.stage import sha256

RETRIES = 2
"""Further attempts at each mirror."""
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file at hand."""

    path: Path
    sha256: str
    size: int
    """In bytes."""


def resolve(files: Mapping[str, SourceFile], folder: Path) -> dict[str, Source]:
    """Each file, by its role: from `folder`, else from the cache, else downloaded into the cache.

    Raises FileNotFoundError telling where a file was looked for and what to do. ERRATA_OFFLINE=1 forbids downloads.
    """
    return {role: _find(file, folder) for role, file in files.items()}


def given(path: Path, setting: str) -> Source:
    """The file that the user names in `setting`. Raises FileNotFoundError where it is absent."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{setting}: wanted a file; found none at {path}. Put it there, or name another with -S {setting}=<path>."
        )
    return Source(path=path, sha256=sha256(path), size=path.stat().st_size)


def cache_folder() -> Path:
    """Where downloads are kept, for all checkouts of this user."""
    return Path(pooch.os_cache("errata"))


def _find(file: SourceFile, folder: Path) -> Source:
    if (folder / file.name).is_file():
        source = given(folder / file.name, "facts.folder")
        if file.sha256 not in (None, source.sha256):
            logging.getLogger(__name__).warning(
                "%s: differs from the published file: wanted sha256 %s; found %s",
                source.path,
                file.sha256,
                source.sha256,
            )
        return source
    cached = cache_folder() / file.name
    if cached.is_file():
        source = given(cached, "cache")
        if file.sha256 in (None, source.sha256):
            return source
    return given(_download(file, folder), "cache")


def _download(file: SourceFile, folder: Path) -> Path:
    if os.environ.get("ERRATA_OFFLINE") == "1":
        raise FileNotFoundError(_absent(file, folder, "ERRATA_OFFLINE=1 forbids to download it"))
    failures = []
    for url in file.urls:
        store = pooch.create(
            path=cache_folder(),
            base_url="",
            registry={file.name: file.sha256},
            urls={file.name: url},
            retry_if_failed=RETRIES,
        )
        downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=_CHUNK_BYTES)
        try:
            return Path(store.fetch(file.name, downloader=downloader))
        except (OSError, ValueError) as error:  # requests' own errors are OSErrors, another sha256 is a ValueError
            failures.append(f"{url}: {error}")
    raise FileNotFoundError(
        _absent(file, folder, "no mirror gave it:\n  " + "\n  ".join(failures or ["none is known"]))
    )


def _absent(file: SourceFile, folder: Path, why: str) -> str:
    copy = "absent, or not of the wanted sha256," if file.sha256 else "absent"
    return (
        f"{file.name}: absent from {folder} (facts.folder), {copy} in {cache_folder()} (the cache), and {why}\n"
        f"Put the file into {folder}, from {' or '.join(file.urls) or 'wherever it is published'}; "
        "where it has another name there, set that name in the dataset's preset (files.<role>.name)."
    )
