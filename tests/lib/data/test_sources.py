"""A dataset's files: the user's folder before the cache before the mirrors, and the error when none has them."""

import hashlib
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lib.core.params import SourceFile
from lib.data import sources

CONTENT = b"[1, 2, 3]"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = "0" * 64


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, one attempt at each mirror, no proxy."""
    monkeypatch.setattr(sources, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(sources, "RETRIES", 0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("ERRATA_OFFLINE", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def mirror() -> Iterator[tuple[str, list[str]]]:
    """The address of a server that has /good and no other file, and the paths that it was asked for."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200 if self.path == "/good" else 404)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", paths
        server.shutdown()
        thread.join()


def resolve(folder: Path, urls: list[str] | None = None, sha256: str | None = None) -> sources.Source:
    file = SourceFile(name="facts.json", urls=urls or [], sha256=sha256)
    return sources.resolve({"facts": file}, folder)["facts"]


def put(folder: Path, content: bytes = CONTENT) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "facts.json").write_bytes(content)
    return folder / "facts.json"


def test_a_file_in_the_folder_comes_before_the_cache(tmp_path: Path, cache: Path) -> None:
    users_file = put(tmp_path / "mine")
    put(cache, b"other")
    assert resolve(tmp_path / "mine") == sources.Source(path=users_file, sha256=SHA256, size=len(CONTENT))


def test_a_file_in_the_folder_that_differs_from_the_published_one_is_used_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    users_file = put(tmp_path / "mine")
    with caplog.at_level(logging.WARNING):
        assert resolve(tmp_path / "mine", sha256=OTHER).path == users_file
    assert f"wanted sha256 {OTHER}; found {SHA256}" in caplog.text


def test_mirrors_are_tried_in_order_and_the_download_is_kept(
    tmp_path: Path, cache: Path, mirror: tuple[str, list[str]]
) -> None:
    url, paths = mirror
    urls = [f"{url}/gone", f"{url}/good", f"{url}/never"]
    assert resolve(tmp_path, urls, SHA256).path == cache / "facts.json"
    assert resolve(tmp_path, urls, SHA256).sha256 == SHA256
    assert paths == ["/gone", "/good"]


def test_a_download_with_another_sha256_is_an_error_and_is_not_kept(
    tmp_path: Path, cache: Path, mirror: tuple[str, list[str]]
) -> None:
    with pytest.raises(FileNotFoundError, match=f"no mirror gave it(.|\n)*{OTHER}"):
        resolve(tmp_path, [f"{mirror[0]}/good"], OTHER)
    assert not (cache / "facts.json").exists()


def test_a_cached_file_with_another_sha256_is_downloaded_again(
    tmp_path: Path, cache: Path, mirror: tuple[str, list[str]]
) -> None:
    put(cache, b"damaged")
    assert resolve(tmp_path, [f"{mirror[0]}/good"], SHA256).path.read_bytes() == CONTENT


def test_offline_no_mirror_is_asked_and_the_error_tells_what_to_put_where(
    tmp_path: Path, cache: Path, mirror: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, paths = mirror
    monkeypatch.setenv("ERRATA_OFFLINE", "1")
    with pytest.raises(FileNotFoundError) as raised:
        resolve(tmp_path, [f"{url}/good"])
    message = str(raised.value)
    assert all(part in message for part in ("facts.json", str(tmp_path), str(cache), "ERRATA_OFFLINE=1", f"{url}/good"))
    assert paths == []


def test_offline_a_cached_file_is_enough(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERRATA_OFFLINE", "1")
    cached = put(cache)
    assert resolve(tmp_path).path == cached


def test_every_mirror_that_failed_is_told(tmp_path: Path, mirror: tuple[str, list[str]]) -> None:
    with pytest.raises(FileNotFoundError, match=r"/gone: 404(.|\n)*/lost: 404"):
        resolve(tmp_path, [f"{mirror[0]}/gone", f"{mirror[0]}/lost"])
