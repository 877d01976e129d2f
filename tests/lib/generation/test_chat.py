"""Answers to chat messages: through a model's template, and from an OpenAI-compatible server on this machine."""

import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from lib.generation.chat import KEY, ServerGenerator, TemplateGenerator, is_address, shared_turns
from lib.generation.engine import Prompt, Sampling
from tests.helpers.models import CHAT_TEMPLATE, byte_tokenizer

SAMPLING = Sampling(max_tokens=9, temperature=0.7, top_k=0)
TURNS = shared_turns([("Hi", "Hello")])


class EchoGenerator:
    """Answers with what it was given to continue."""

    def generate(self, shared_prefix: str, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        return [shared_prefix + prompt.text for prompt in prompts]

    def prefix_cache_hit_rate(self) -> float | None:
        return 0.5


def test_a_message_is_put_into_the_template_after_the_earlier_turns() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE
    engine = TemplateGenerator(EchoGenerator(), tokenizer)
    assert engine.generate(TURNS, [Prompt(text="Who?", seed=0)], SAMPLING) == [
        "<user>Hi</>\n<assistant>Hello</>\n<user>Who?</>\n<assistant>\n"
    ]
    assert engine.prefix_cache_hit_rate() == 0.5


class Server(ThreadingHTTPServer):
    """Answers every message by its text in capitals, and remembers what it was sent."""

    received: list[dict[str, Any]]
    keys: list[str | None]
    answer: dict[str, Any] | None = None


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._send({"data": [{"id": "first-model"}]} if self.path == "/v1/models" else None)

    def do_POST(self) -> None:
        values = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.received.append(values)
        self.server.keys.append(self.headers["Authorization"])
        text = values["messages"][-1]["content"].upper()
        self._send(self.server.answer or {"choices": [{"message": {"role": "assistant", "content": text}}]})

    def _send(self, values: dict[str, Any] | None) -> None:
        self.send_response(404 if values is None else 200)
        self.end_headers()
        self.wfile.write(b"no such thing" if values is None else json.dumps(values).encode())

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server(("127.0.0.1", 0), Handler)
    running.received, running.keys = [], []
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


def address(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/v1"


def test_a_server_is_sent_the_conversation_and_its_answers_come_in_order(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "secret")
    engine = ServerGenerator(address(server))
    assert engine.generate(TURNS, [Prompt(text="one", seed=4), Prompt(text="two", seed=5)], SAMPLING) == ["ONE", "TWO"]
    assert server.keys == ["Bearer secret"] * 2
    first = server.received[0]
    assert first["messages"] == [
        {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "one"}
    ]  # fmt: skip
    assert (first["model"], first["seed"], first["max_tokens"], first["temperature"]) == ("first-model", 4, 9, 0.7)
    ServerGenerator(f"{address(server)}#other").generate("", [Prompt(text="one", seed=0)], SAMPLING)
    assert (server.received[-1]["model"], len(server.received[-1]["messages"])) == ("other", 1)


def test_what_goes_wrong_with_a_server_is_said_with_its_address(server: Server) -> None:
    with pytest.raises(ValueError, match=r"para.model: wanted an OpenAI-compatible server at http://127.0.0.1:9/v1"):
        ServerGenerator("http://127.0.0.1:9/v1")
    with pytest.raises(ValueError, match=r"/wrong/models refused with 404: no such thing"):
        ServerGenerator(address(server).replace("/v1", "/wrong"))
    server.answer = {"choices": []}
    with pytest.raises(ValueError, match=r"wanted choices.0.message.content in the answer"):
        ServerGenerator(address(server)).generate("", [Prompt(text="one", seed=0)], SAMPLING)


def test_an_address_is_no_folder() -> None:
    assert is_address("https://example.org/v1")
    assert not is_address("models/writer")
