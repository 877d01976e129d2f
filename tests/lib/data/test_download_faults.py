"""Answers that are not the whole file: cut without a length, empty, a part nobody asked for, archives like bombs."""

import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pooch
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lib.core.errors import InputError
from lib.core.params import SourceFile
from lib.data import sources, wheels

CONTENT = b"[" + b"1," * 50_000 + b"1]"
Answer = Callable[[BaseHTTPRequestHandler], None]


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, length: bool = True, **headers: str) -> None:
    handler.send_response(status)
    if length:
        handler.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def server() -> Iterator[tuple[str, list[Answer]]]:
    """An address, and the answers that come from there, one after the other; the last one comes for ever."""
    answers: list[Answer] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            (answers.pop(0) if len(answers) > 1 else answers[0])(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}", answers
        listening.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sources, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(sources, "RETRIES", 0)
    monkeypatch.setattr(pooch.core.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("ERRATA_OFFLINE", raising=False)
    return tmp_path / "cache"


def fetch(url: str, name: str = "facts.json", sha256: str | None = None) -> bytes:
    file = SourceFile(name=name, urls=[f"{url}/{name}"], sha256=sha256)
    return sources.resolve({"facts": file}, Path("absent"))["facts"].path.read_bytes()


def whole(handler: BaseHTTPRequestHandler) -> None:
    send(handler, CONTENT)


FAULTS: dict[str, tuple[Answer, str]] = {
    "cut without a length": (lambda handler: send(handler, CONTENT[:70_000], length=False), "no whole json file"),
    "empty": (lambda handler: send(handler, b""), "an empty answer came"),
    "empty without a length": (lambda handler: send(handler, b"", length=False), "an empty answer came"),
    "an unasked part": (
        lambda handler: send(handler, CONTENT[:500], 206, Content_Range=f"bytes 0-499/{len(CONTENT)}"),
        "another part came",
    ),
    "a web page": (lambda handler: send(handler, b"<!-- x --><html>Log in</html>"), "a web page instead of the file"),
    "an error in XML": (lambda handler: send(handler, b'<?xml version="1.0"?><Error/>'), "a web page instead"),
    "an error in JSON": (lambda handler: send(handler, b'{"error": "busy"}'), "no JSON array"),
    "no content": (lambda handler: send(handler, b"", 204), "204 No Content, and no file"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_the_whole_file_is_neither_kept_nor_noted_and_the_good_one_is_taken_later(
    fault: str, server: tuple[str, list[Answer]], cache: Path
) -> None:
    url, answers = server
    answer, message = FAULTS[fault]
    answers[:] = [answer]
    with pytest.raises(FileNotFoundError, match=message):
        fetch(url)
    assert [path.name for path in cache.glob("facts.json*")] == []
    answers[:] = [whole]
    assert fetch(url) == CONTENT
    assert (cache / "facts.json.sha256").is_file()


def test_a_file_of_another_format_needs_a_length(server: tuple[str, list[Answer]]) -> None:
    url, answers = server
    answers[:] = [lambda handler: send(handler, b"a,b\n1,2\n", length=False)]
    with pytest.raises(FileNotFoundError, match="neither the server nor its format says where it ends"):
        fetch(url, "facts.csv")
    answers[:] = [lambda handler: send(handler, b"a,b\n1,2\n")]
    assert fetch(url, "facts.csv") == b"a,b\n1,2\n"


def test_a_cut_parquet_file_is_noticed(server: tuple[str, list[Answer]]) -> None:
    stream = io.BytesIO()
    pq.write_table(pa.table({"text": ["a"] * 1000}), stream)
    url, answers = server
    answers[:] = [lambda handler: send(handler, stream.getvalue()[:-20], length=False)]
    with pytest.raises(FileNotFoundError, match="no whole parquet file"):
        fetch(url, "text.parquet")


def test_a_cached_file_that_was_cut_before_it_was_noted_is_fetched_again(
    server: tuple[str, list[Answer]], cache: Path
) -> None:
    cache.mkdir()
    (cache / "facts.json").write_bytes(CONTENT[:500])
    server[1][:] = [whole]
    assert fetch(server[0]) == CONTENT


def test_a_file_without_a_published_hash_is_told_to_be_not_pinned(
    server: tuple[str, list[Answer]], caplog: pytest.LogCaptureFixture
) -> None:
    server[1][:] = [whole]
    fetch(server[0])
    assert "facts.json: not pinned" in caplog.text


def bomb(name: str, size: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(name, b" " * size)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bomb("facts.json", 50 << 20), "wanted at most 200 bytes in it for each of its own"),
        (bomb("../facts.json", 100), "wanted files inside of one folder"),
        (bomb("/etc/facts.json", 100), "wanted files inside of one folder"),
    ],
)
def test_archives_that_fill_a_disk_or_lead_elsewhere_are_not_unpacked(
    content: bytes, message: str, server: tuple[str, list[Answer]], tmp_path: Path
) -> None:
    server[1][:] = [lambda handler: send(handler, content)]
    with pytest.raises(FileNotFoundError, match=message):
        fetch(server[0])
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InputError, match=message):
        wheels.unpack(tmp_path / "a.zip", tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
