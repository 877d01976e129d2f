"""One file over HTTP: continued where a cut connection left it, unpacked from a zip archive, and looked at.

A server may answer with something else than the file: a web page that asks to log in, or a Git LFS pointer. Both are
recognised by how they begin, also in files that the user put somewhere (`refuse_other_content`).
"""

import hashlib
import logging
import sys
import zipfile
from pathlib import Path
from typing import Any

import requests
from tqdm import tqdm

from lib.core.errors import InputError, user_message
from lib.core.files import put_in_place
from lib.data.archives import DAMAGE, check_bounds, files_in
from lib.data.whole import is_told_by_format, unfinished

_CHUNK_BYTES = 1 << 16
_TIMEOUT = (10, 60)
"""Seconds until a connection stands, and between two pieces of a file."""
_BEGINNING_BYTES = 1024
_LONGEST_SHOWN = 60
_LATER = (408, 425, 429)
"""Client errors that another attempt may not meet."""
_WHOLE, _PARTIAL, _OTHER_RANGE = 200, 206, 416
_MARKUP = (b"<!doctype", b"<html", b"<head", b"<body", b"<script", b"<!--", b"<?xml")
"""How a web page begins, or a server's error in XML."""


class OtherContentError(OSError):
    """What came is not the file, and would not be at another attempt."""


class Downloader:
    """Fetches one file for pooch, which calls it with each attempt's address and the path to write."""

    def __init__(self, name: str, folder: Path, *, is_pinned: bool) -> None:
        """`name` is the wanted file; `folder` keeps what has come so far between attempts, and between runs.

        `is_pinned`: its sha256 is checked afterwards.
        """
        self._name = name
        self._folder = folder
        self._is_pinned = is_pinned

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Write the file at `url` to `output_file`.

        Raises requests.RequestException where another attempt may help, OtherContentError where it would not.
        """
        partial = self._folder / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{self._name}"
        has_length = _fetch(url, partial, self._name)
        if not (has_length or self._is_pinned or is_told_by_format(self._name)):
            raise OtherContentError("a file of which neither the server nor its format says where it ends")
        _validator(partial).unlink(missing_ok=True)
        path = Path(output_file)
        put_in_place(partial, path)
        refuse_other_content(path)
        if not self._name.endswith(".zip") and zipfile.is_zipfile(path):
            _unpack(path, self._name)
        if (reason := unfinished(path, self._name)) is not None:
            raise requests.ConnectionError(reason)


def refuse_other_content(path: Path) -> None:
    """Raises OtherContentError where the file is a web page or a Git LFS pointer, with what it begins with."""
    with path.open("rb") as stream:
        beginning = stream.read(_BEGINNING_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
    beginning_text = beginning.decode(errors="replace")[:_LONGEST_SHOWN]
    if beginning.startswith(b"version https://git-lfs"):
        raise OtherContentError(
            f"a Git LFS pointer instead of the file itself, which begins {beginning_text!r} (git lfs pull gets it)"
        )
    if beginning.lower().startswith(_MARKUP):
        raise OtherContentError(f"a web page instead of the file, which begins {beginning_text!r}")


def _fetch(url: str, partial: Path, name: str) -> bool:
    """Complete `partial`, from where it ends if the server still has the same file, else from the start.

    Returns whether the server said how long it is.
    """
    partial.parent.mkdir(parents=True, exist_ok=True)
    have = partial.stat().st_size if partial.is_file() and _validator(partial).is_file() else 0
    headers = {"Accept-Encoding": "identity"}  # so that lengths are those of the file
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": _validator(partial).read_text()}
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
        if response.status_code == _OTHER_RANGE:
            partial.unlink()
            raise requests.ConnectionError(f"{url}: the file is another one than the part of it that came before")
        if 400 <= response.status_code < 500 and response.status_code not in _LATER:
            raise OtherContentError(f"{response.status_code} {response.reason}")
        response.raise_for_status()
        if response.status_code == _PARTIAL and not _continues(response, have):
            partial.unlink(missing_ok=True)
            asked = f"bytes from {have}" if have else "the whole of it"
            raise requests.ConnectionError(f"{asked} asked for; another part came")
        if response.status_code not in (_WHOLE, _PARTIAL):
            raise OtherContentError(f"{response.status_code} {response.reason}, and no file")
        return _receive(response, partial, name, have if response.status_code == _PARTIAL else 0)


def _continues(response: requests.Response, have: int) -> bool:
    return have > 0 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _receive(response: requests.Response, partial: Path, name: str, have: int) -> bool:
    """Write the body behind the first `have` bytes; note by what the server knows the file, for the next attempt.

    Returns whether the server said how long the file is.
    """
    known_by = response.headers.get("ETag", "") or response.headers.get("Last-Modified", "")
    if known_by and not known_by.startswith("W/"):  # a weak ETag does not promise the same bytes
        _validator(partial).write_text(known_by)
    else:
        _validator(partial).unlink(missing_ok=True)
    total = _total(response, have)
    logging.getLogger(__name__).info(
        "downloading %s from %s%s%s",
        name,
        response.url,
        f" ({total / 2**20:.1f} MiB)" if total else "",
        f", of which {have / 2**20:.1f} MiB are here" if have else "",
    )
    bar = {"total": total, "initial": have, "unit": "B", "unit_scale": True, "disable": not sys.stderr.isatty()}
    with partial.open("ab" if have else "wb") as stream, tqdm(desc=name, leave=False, **bar) as progress:
        for chunk in response.iter_content(_CHUNK_BYTES):
            stream.write(chunk)
            progress.update(len(chunk))
    if total is not None and partial.stat().st_size != total:
        raise requests.ConnectionError(f"the connection was cut: {partial.stat().st_size} of {total} bytes came")
    if not partial.stat().st_size:
        raise requests.ConnectionError("an empty answer came")
    return total is not None


def _total(response: requests.Response, have: int) -> int | None:
    """The length of the whole file, as the answer's range or length says; None where neither does."""
    in_range = response.headers.get("Content-Range", "").rpartition("/")[2]
    if in_range.isdecimal():
        return int(in_range)
    length = response.headers.get("Content-Length", "")
    return have + int(length) if length.isdecimal() else None


def _validator(partial: Path) -> Path:
    """Where the server's name for the version of a partial file is kept."""
    return partial.with_name(f"{partial.name}.version")


def _unpack(archive: Path, name: str) -> None:
    """Put the archive's file of this name, or else its only file, in the archive's place.

    Raises OtherContentError where the archive is damaged, or does not tell which of its files is meant.
    """
    try:
        _take_out(archive, name)
    except OtherContentError:
        raise
    except InputError as error:
        raise OtherContentError(str(error)) from error
    except DAMAGE as error:
        if user_message(error) is not None:  # a full disk, not a damaged archive
            raise
        raise OtherContentError(f"a damaged zip archive ({error})") from error


def _take_out(archive: Path, name: str) -> None:
    with zipfile.ZipFile(archive) as packed:
        entries = files_in(packed)
        files = [entry.filename for entry in entries]
        candidates = [entry for entry in entries if Path(entry.filename).name == name] or entries
        if len(candidates) != 1:
            raise OtherContentError(
                f"a zip archive in which {name} is not to be told among {', '.join(files[:10]) or 'none'}"
            )
        check_bounds(archive, entries)
        unpacked = archive.with_name(f"{archive.name}.unpacked")
        with packed.open(candidates[0]) as source, unpacked.open("wb") as target:
            while chunk := source.read(_CHUNK_BYTES):
                target.write(chunk)
    put_in_place(unpacked, archive)
