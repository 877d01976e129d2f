"""Where a dataset's files come from: the user's folder, else the cache of downloads, else a mirror.

A file whose published sha256 is not known is noted with its sha256 beside the cache when it is first used and parsed as
what it should be (<name>.sha256, as sha256sum writes it), and held to that from then on; a warning says so.
"""

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pooch
from filelock import FileLock

from lib.core.cache import cache_folder
from lib.core.errors import InputError
from lib.core.files import check_regular, replacing, sha256
from lib.core.params import SourceFile
from lib.data.download import Downloader, OtherContentError, refuse_other_content
from lib.data.whole import unfinished

_DIGEST = re.compile(r"[0-9a-f]{64}(?=\s)")
RETRIES = 2
"""Further attempts at each mirror."""


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


def user_file(path: Path, setting: str) -> Source:
    """The file that the user names in `setting`.

    Raises FileNotFoundError where it is absent, InputError where it is a folder, a pipe or a device, or holds a web
    page or a Git LFS pointer.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"{setting}: wanted a file; found none at {path}. Put it there, or name another with -S {setting}=<path>."
        )
    return _source(path)


def _source(path: Path) -> Source:
    check_regular(path)
    try:
        refuse_other_content(path)
    except OtherContentError as error:
        raise InputError(f"{path}: {error}. Put the published file in its place.") from None
    return Source(path=path, sha256=sha256(path), size=path.stat().st_size)


def _find(file: SourceFile, folder: Path) -> Source:
    if (folder / file.name).exists():
        source = _source(folder / file.name)
        if file.sha256 not in (None, source.sha256):
            _log().warning(
                "%s: differs from the published file: wanted sha256 %s; found %s",
                source.path,
                file.sha256,
                source.sha256,
            )
        return source
    cached = cache_folder() / file.name
    cached.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cached.with_name(f".{file.name}.lock")):  # two runs want the same file: one downloads it
        expected = file.sha256 or _noted(cached)
        if cached.is_file():
            source = Source(path=cached, sha256=sha256(cached), size=cached.stat().st_size)
            reason = _refusal(source, file, expected)
            if reason is None:
                return _note(source, file)
            _log().warning("%s: %s; downloading it again", cached, reason)
        return _note(_source(_download(file, folder, expected)), file)


def _refusal(source: Source, file: SourceFile, expected: str | None) -> str | None:
    """Why a cached file is not taken; None where it is."""
    if expected is None:
        return unfinished(source.path, file.name)
    return None if expected == source.sha256 else f"wanted sha256 {expected}; found {source.sha256}"


def _download(file: SourceFile, folder: Path, expected: str | None) -> Path:
    """The file from the first mirror that has it, with the sha256 `expected` where that is known."""
    if os.environ.get("ERRATA_OFFLINE") == "1":
        raise FileNotFoundError(_absent(file, folder, "ERRATA_OFFLINE=1 forbids to download it"))
    if expected is None:
        (cache_folder() / file.name).unlink(missing_ok=True)  # one that is there was refused; pooch would take it
    failures = []
    for url in file.urls:
        store = pooch.create(
            path=cache_folder(),
            base_url="",
            registry={file.name: expected},
            urls={file.name: url},
            retry_if_failed=RETRIES,
        )
        try:
            return Path(
                store.fetch(
                    file.name,
                    downloader=Downloader(file.name, cache_folder() / ".partial", is_pinned=expected is not None),
                )
            )
        except (OSError, ValueError) as error:  # requests' own errors are OSErrors, another sha256 is a ValueError
            failures.append(f"{url}: {error}")
            _log().info("no %s from %s: %s", file.name, url, error)
    why = "no mirror gave it:\n  " + "\n  ".join(failures or ["none is known"])
    raise FileNotFoundError(_absent(file, folder, why))


def _note_of(cached: Path) -> Path:
    return cached.with_name(f"{cached.name}.sha256")


def _noted(cached: Path) -> str | None:
    """The sha256 that the file had when it was first used. Raises InputError where the note of it is damaged."""
    note = _note_of(cached)
    if not note.is_file():
        return None
    digest = _DIGEST.match(note.read_bytes().decode(errors="replace"))
    if digest is None:
        raise InputError(f"{note}: wanted a sha256, as sha256sum writes it; found none. Delete the note.")
    return digest[0]


def _note(source: Source, file: SourceFile) -> Source:
    if file.sha256 is None:
        _log().warning(
            "%s: not pinned, the dataset's preset has no published sha256 of it; held to that of its first use, %s",
            file.name,
            source.sha256,
        )
    with replacing(_note_of(source.path)) as unfinished:
        unfinished.write_text(f"{source.sha256}  {source.path.name}\n")
    return source


def _log() -> logging.Logger:
    return logging.getLogger(__name__)


def _absent(file: SourceFile, folder: Path, why: str) -> str:
    note = _note_of(cache_folder() / file.name)
    has_sha256 = file.sha256 is not None or note.is_file()
    copy = "absent, or not of the wanted sha256," if has_sha256 else "absent"
    note_hint = f"\nIts sha256 was noted at its first use; delete {note} to accept another." if note.is_file() else ""
    return (
        f"{file.name}: absent from {folder} (facts.folder), {copy} in {cache_folder()} (the cache), and {why}\n"
        f"Put the file into {folder}, from {' or '.join(file.urls) or 'wherever it is published'}; "
        f"where it has another name there, set that name in the dataset's preset (files.<role>.name).{note_hint}"
    )
