"""Downloads from a server that misbehaves: cut connections, other files, archives, pointers and web pages."""

import hashlib
import io
import re
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pooch
import pytest

from lib.core.params import SourceFile
from lib.data import sources

CONTENT = b"[" + b"1," * 100_000 + b"1]"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = "0" * 64
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
PAGE = b"\n<!DOCTYPE html>\n<html><body>Log in</body></html>"


def archive(**files: bytes) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as packed:
        for name, content in files.items():
            packed.writestr(name.replace("__", "/").replace("_json", ".json"), content)
    return written.getvalue()


@dataclass
class Server:
    """Answers at 127.0.0.1, and remembers what it was asked for."""

    files: dict[str, bytes]
    url: str = ""
    etag: str | None = '"one"'
    cut: dict[str, int] = field(default_factory=dict)
    """After how many bytes the next answer for a path breaks off; whole pieces of 64 KiB are kept."""
    busy: int = 0
    """How many answers are 503 before the first other one."""
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """Paths, with the range that was asked for."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(files={"/good": CONTENT})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.requests.append((self.path, self.headers.get("Range")))
            content = server.files.get(self.path)
            if server.busy:
                server.busy -= 1
                self.send_error(503)
                return
            if content is None:
                self.send_error(404)
                return
            begin = int(re.sub(r"\D", "", self.headers.get("Range", "0")))
            same = server.etag is not None and self.headers.get("If-Range") == server.etag
            begin = begin if same else 0
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(content) - begin))
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
            if server.etag is not None:
                self.send_header("ETag", server.etag)
            self.end_headers()
            self.wfile.write(content[begin : server.cut.pop(self.path, len(content))])

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        server.url = f"http://127.0.0.1:{listening.server_port}"
        yield server
        listening.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, one further attempt at each mirror without a pause, no proxy."""
    monkeypatch.setattr(sources, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(sources, "RETRIES", 1)
    monkeypatch.setattr(pooch.core.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("ERRATA_OFFLINE", raising=False)
    return tmp_path / "cache"


def fetch(server: Server, *paths: str, sha256: str | None = None, folder: Path = Path("absent")) -> bytes:
    file = SourceFile(name="facts.json", urls=[server.url + path for path in paths], sha256=sha256)
    return sources.resolve({"facts": file}, folder)["facts"].path.read_bytes()


def test_a_cut_connection_is_continued_where_it_broke_off(server: Server) -> None:
    server.cut["/good"] = 70_000
    assert fetch(server, "/good", sha256=SHA256) == CONTENT
    assert server.requests == [("/good", None), ("/good", "bytes=65536-")]


def test_a_download_that_was_given_up_is_continued_by_the_next_run(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "RETRIES", 0)
    server.cut["/good"] = 70_000
    with pytest.raises(FileNotFoundError, match="no mirror gave it"):
        fetch(server, "/good")
    assert fetch(server, "/good") == CONTENT
    assert server.requests[-1] == ("/good", "bytes=65536-")


def test_a_file_that_changed_since_the_cut_is_fetched_whole(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "RETRIES", 0)
    server.cut["/good"] = 70_000
    with pytest.raises(FileNotFoundError):
        fetch(server, "/good")
    server.files["/good"], server.etag = b"[" + b"2," * 70_000 + b"2]", '"two"'
    assert fetch(server, "/good") == b"[" + b"2," * 70_000 + b"2]"


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_where_the_server_does_not_name_its_version_nothing_is_continued(server: Server, etag: str | None) -> None:
    server.etag = etag
    server.cut["/good"] = 70_000
    assert fetch(server, "/good") == CONTENT
    assert server.requests == [("/good", None), ("/good", None)]


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(server: Server) -> None:
    server.busy = 1
    assert fetch(server, "/gone", "/good") == CONTENT
    assert [path for path, _ in server.requests] == ["/gone", "/gone", "/good"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (PAGE, "a web page instead of the file, which begins '<!DOCTYPE html>"),
        (POINTER, "a Git LFS pointer instead of the file itself"),
        (archive(facts_json=CONTENT).replace(CONTENT, CONTENT[::-1]), "a damaged zip archive (Bad CRC-32"),
        (archive(a_json=b"1", b_json=b"2"), "a zip archive in which facts.json is not to be told among a.json, b.json"),
    ],
)
def test_what_is_not_the_file_is_told_not_kept_and_not_asked_for_again_and_the_next_mirror_is_tried(
    content: bytes, message: str, server: Server, cache: Path
) -> None:
    server.files["/other"] = content
    with pytest.raises(FileNotFoundError, match=re.escape(message)):
        fetch(server, "/other")
    assert [path for path, _ in server.requests] == ["/other"]
    assert not (cache / "facts.json").exists()
    assert fetch(server, "/other", "/good") == CONTENT


@pytest.mark.parametrize(
    "content", [archive(data__facts_json=CONTENT, data__readme=b"?"), archive(published_json=CONTENT)]
)
def test_a_zip_archive_is_unpacked_and_the_sha256_is_that_of_the_file_in_it(content: bytes, server: Server) -> None:
    server.files["/zip"] = content
    assert fetch(server, "/zip", sha256=SHA256) == CONTENT


def test_a_download_with_another_sha256_gives_way_to_the_next_mirror(server: Server) -> None:
    server.files["/other"] = b"[2]"
    assert fetch(server, "/other", "/good", sha256=SHA256) == CONTENT


def test_a_file_of_unknown_sha256_is_held_to_the_one_of_its_first_download(server: Server, cache: Path) -> None:
    fetch(server, "/good")
    assert (cache / "facts.json.sha256").read_text() == f"{SHA256}  facts.json\n"
    (cache / "facts.json").write_bytes(b"damaged")
    assert fetch(server, "/good") == CONTENT
    (cache / "facts.json").unlink()
    server.files["/good"] = b"[2]"
    with pytest.raises(FileNotFoundError, match=rf"{SHA256}(.|\n)*delete .*facts\.json\.sha256 to accept another"):
        fetch(server, "/good")


@pytest.mark.parametrize(("content", "message"), [(POINTER, "Git LFS pointer"), (PAGE, "web page")])
def test_in_the_users_folder_too_what_is_not_the_file_is_told(
    content: bytes, message: str, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "facts.json").write_bytes(content)
    with pytest.raises(ValueError, match=rf"facts\.json: .*{message}(.|\n)*Put the published file in its place"):
        fetch(server, "/good", folder=tmp_path)
    assert server.requests == []
