"""A wheel with any files in it, written for tests, and the folder that stands for a package index."""

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from lib.core import cache
from lib.core.params import Wheel


def write_wheel(folder: Path, package: str, files: Mapping[str, bytes], version: str = "1.0.0") -> Path:
    """Write a wheel that pip accepts, with `files` in it."""
    name = package.replace("-", "_")
    about = {
        f"{name}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n",
        f"{name}-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{name}-{version}.dist-info/RECORD": "",
    }
    members: dict[str, bytes | str] = {**files, **about}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as packed:
        for member, content in members.items():
            packed.writestr(member, content)
    return path


def pinned(path: Path, package: str, member: str, version: str = "1.0.0") -> Wheel:
    """The wheel at `path` as a preset pins it."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Wheel(package=package, version=version, sha256=digest, member=member)


def use_index(index: Path, downloads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pip know the wheels in `index` and no others, and what is downloaded kept in `downloads`."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("ERRATA_OFFLINE", raising=False)
    use_cache(downloads, monkeypatch)


def use_cache(downloads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have downloads, and what is made of them, kept in this folder."""
    monkeypatch.setattr(cache, "cache_folder", lambda: downloads)
