"""`errata serve`: which engine serves, what it says of that, and what is refused."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import pytest

from apps import serving
from apps.speaking import Asked
from lib.core.errors import InputError
from lib.core.params import ROOT
from lib.edits.adapter import CONFIG
from lib.edits.scope import Scope
from lib.edits.store import save_scope
from lib.generation import vllm
from lib.handover import vllm_server
from tests.helpers.bundles import small_bundle
from tests.helpers.small import REQUESTS

ENDS = "import sys; print('ValueError: Error: heads of 8 dimensions', file=sys.stderr); sys.exit(1)"
ANSWERS = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/v1/models" else 404)
        self.end_headers()
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@contextmanager
def process_of(arguments: list[str], *, in_background: bool = False) -> Iterator["subprocess.Popen[str]"]:
    """A process with its output in a pipe, which does not outlive the test, whatever happens.

    In the background it starts as a script's shell starts it, with SIGINT ignored; else as on a terminal, also where
    the tests themselves run in the background.
    """
    heeds = "SIG_IGN" if in_background else "SIG_DFL"
    start = f"import os, signal, sys; signal.signal(signal.SIGINT, signal.{heeds}); os.execv(sys.argv[1], sys.argv[1:])"
    command = [sys.executable, "-c", start, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def serving_without_vllm(folder: Path) -> list[str]:
    hidden = f"import sys; sys.modules['vllm'] = None; sys.argv = ['errata', 'serve', {str(folder)!r}, "
    return [sys.executable, "-c", hidden + "'--port', '0']; from errata.command import main; main()"]


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    (tmp_path / CONFIG).write_text(json.dumps({"r": 112, "rank_pattern": {}}))
    return tmp_path


def test_without_vllm_auto_serves_with_transformers_and_says_why(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "edit", REQUESTS[:1], is_latest=False)
    with process_of(serving_without_vllm(bundle.folder)) as process:
        assert process.stdout is not None
        assert "not vLLM: the package vllm is not installed (requirements-vllm.txt" in process.stdout.readline()
        line = process.stdout.readline()
        assert "served by transformers, one request at a time; Ctrl-C ends" in line
        address = next(word for word in line.split() if word.startswith("http://127.0.0.1:"))
        body = {"model": "edited", "prompt": "Ada lives in", "max_tokens": 3, "temperature": 0}
        answer: Any = json.load(urlopen(HttpRequest(f"{address}/completions", data=json.dumps(body).encode())))
        assert answer["usage"]["completion_tokens"] == 3
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "ended\n"
        assert process.wait() == 0


def test_in_the_background_of_a_script_sigterm_ends_it_as_its_first_line_says(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "edit", REQUESTS[:1], is_latest=False)
    with process_of(serving_without_vllm(bundle.folder), in_background=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        line = process.stdout.readline()
        assert f"; `kill {process.pid}` ends" in line
        process.send_signal(signal.SIGINT)
        address = next(word for word in line.split() if word.startswith("http://127.0.0.1:"))
        assert json.load(urlopen(f"{address}/models"))["data"][0]["id"] == "edited"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "ended\n"
        assert process.wait() == 0


def test_an_engine_that_was_asked_for_and_is_absent_is_an_error(monkeypatch: pytest.MonkeyPatch, adapter: Path) -> None:
    monkeypatch.setattr(vllm, "available", lambda: False)
    with pytest.raises(InputError, match=r"--backend vllm: the package vllm is not installed .*--backend transformers"):
        serving.serve(Asked(base=adapter, edit=adapter), 0, "vllm", print)


def test_what_vllm_cannot_put_on_a_model_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, adapter: Path) -> None:
    monkeypatch.setattr(vllm, "available", lambda: True)
    assert vllm_server.refusal(None) is None
    assert vllm_server.refusal(adapter) is None
    (adapter / CONFIG).write_text(json.dumps({"r": 8, "rank_pattern": {"down_proj": 600}}))
    assert "has rank 600; vLLM takes ranks up to 512" in str(vllm_server.refusal(adapter))
    (adapter / CONFIG).unlink()
    assert "holds no LoRA adapter (adapter_config.json)" in str(vllm_server.refusal(adapter))


def test_the_command_line_has_both_names_and_the_next_rank_that_vllm_has(adapter: Path) -> None:
    words = vllm_server.command(
        Path("weights"), adapter, names=("edited", "before"), host="127.0.0.1", port=8000, dtype="float32",
        has_template=False,
    )  # fmt: skip
    values = dict(pairwise(words))
    assert values["--served-model-name"] == "before"
    assert values["--lora-modules"] == f"edited={adapter}"
    assert values["--max-lora-rank"] == "128"
    assert values["--host"] == "127.0.0.1"
    assert "raise_exception" in values["--chat-template"]


def test_a_server_that_ends_before_it_answers_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "serve.log"
    with (
        pytest.raises(InputError, match=r"ended before it answered; .*serve\.log \(.*heads of 8 dimensions\)"),
        vllm_server.started([sys.executable, "-c", ENDS], "http://127.0.0.1:9/v1", log, print),
    ):
        pass


def test_a_server_is_awaited_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_server, "_SECONDS_TO_TELL", 0)
    port, lines = serving._free_port(), list[str]()
    arguments = [sys.executable, "-c", f"import time; time.sleep(1.2){ANSWERS}", str(port)]
    with vllm_server.started(arguments, f"http://127.0.0.1:{port}/v1", tmp_path / "log", lines.append) as process:
        assert process.poll() is None
    assert process.poll() is not None
    assert lines[0].startswith("vLLM is starting: ")


def test_where_auto_finds_that_vllm_does_not_start_it_says_so(monkeypatch: pytest.MonkeyPatch, adapter: Path) -> None:
    lines: list[str] = []

    def ends(subject: Asked, port: int, tell: serving.Tell) -> None:
        raise InputError("vLLM ended before it answered")

    monkeypatch.setattr(vllm, "available", lambda: True)
    monkeypatch.setattr(serving, "_run_vllm", ends)
    subject = Asked(base=adapter, edit=adapter)
    assert not serving._vllm_served(subject, 0, "auto", lines.append)
    assert lines == ["not vLLM: vLLM ended before it answered"]
    with pytest.raises(InputError, match="--backend vllm: vLLM ended"):
        serving._vllm_served(subject, 0, "vllm", lines.append)


def test_an_edit_with_a_scope_is_not_for_vllm(monkeypatch: pytest.MonkeyPatch, adapter: Path) -> None:
    monkeypatch.setattr(vllm, "available", lambda: True)
    save_scope(Scope(prompts={"e0": ["Ada lives in"]}, encoder="hashing", threshold=0.7), adapter)
    lines: list[str] = []
    assert not serving._vllm_served(Asked(base=adapter, edit=adapter), 0, "auto", lines.append)
    (line,) = lines
    assert line.endswith("is in force near its facts alone, and vLLM does not tell prompts apart")


def test_a_port_that_is_taken_is_named(adapter: Path) -> None:
    port = serving._free_port()
    with process_of([sys.executable, "-c", ANSWERS, str(port)]):
        while not vllm_server._answers(f"http://127.0.0.1:{port}/v1"):
            time.sleep(0.1)
        with pytest.raises(InputError, match=f"--port {port}: another program listens there"):
            serving.serve(Asked(base=adapter, edit=adapter), port, "auto", print)
