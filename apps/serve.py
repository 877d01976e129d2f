"""An edited model behind the OpenAI protocol on this machine: `errata serve`, with the standard library's own server.

Two models are served, the edited one and the one before the edit, by name. One request is answered at a time; with
temperature 0 a text is, to the letter, what `errata ask` prints. Texts are sent whole: `stream` gives one piece.
"""

import json
import time
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any, ClassVar

from apps.speaking import CHAT_TOKENS, TOKENS, Speaker
from lib.core.errors import InputError
from lib.generation.engine import Sampling
from lib.models.templates import Turn

EDITED, BEFORE = "edited", "before"
"""The names of the two models."""
HOST = "127.0.0.1"
_MOST_BYTES = 10_000_000
_MOST_TOKENS = 4096
_REFUSED = {"n": 1, "best_of": 1, "top_p": 1, "echo": False, "logprobs": None, "tools": None, "presence_penalty": 0,
            "frequency_penalty": 0, "logit_bias": None, "response_format": None}  # fmt: skip
"""Parameters that are not supported, with the values that change nothing."""


def server(speaker: Speaker, port: int) -> ThreadingHTTPServer:
    """A server on 127.0.0.1; port 0 takes one that is free. `serve_forever` runs it."""

    class Served(_Handler):
        answering = Answering(speaker)

    return ThreadingHTTPServer((HOST, port), Served)


class Answering:
    """Answers requests of the protocol, one at a time."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker, self._lock = speaker, Lock()

    def models(self) -> dict[str, Any]:
        """GET /v1/models."""
        names = [EDITED, BEFORE] if self._speaker.edit is not None else [BEFORE]
        return {"object": "list", "data": [{"id": name, "object": "model", "owned_by": "errata"} for name in names]}

    def completion(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST /v1/completions. Raises InputError where the body is not what is supported."""
        prompts = body.get("prompt")
        texts = [prompts] if isinstance(prompts, str) else prompts
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            raise InputError(f"prompt: wanted a text or a list of texts; found {type(prompts).__name__}")
        choices, usage = self._written(body, texts, TOKENS, None)
        listed = [{"index": index, "logprobs": None, **choice} for index, choice in enumerate(choices)]
        return self._response(body, "text_completion", listed, usage)

    def chat(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST /v1/chat/completions. Raises InputError where the body is not what is supported."""
        turns, question = _conversation(body.get("messages"))
        (choice,), usage = self._written(body, [question], CHAT_TOKENS, turns)
        message = {"role": "assistant", "content": choice["text"].strip()}
        listed = [{"index": 0, "message": message, "finish_reason": choice["finish_reason"]}]
        return self._response(body, "chat.completion", listed, usage)

    def _written(
        self, body: Mapping[str, Any], questions: Sequence[str], tokens: int, turns: Sequence[Turn] | None
    ) -> tuple[list[dict[str, Any]], dict[str, int]]:
        edited = self._edited(body.get("model"))
        sampling, seed = _sampling(body, tokens), body.get("seed") or 0
        with self._lock:
            texts = self._speaker.texts(questions, sampling, edited=edited, turns=turns, seed=int(seed))
            prompts = [self._speaker.prompt_of(text, edited=edited, turns=turns) for text in questions]
        tokenizer = self._speaker.tokenizer
        anew = (len(tokenizer(text, add_special_tokens=False).input_ids) for text in texts)
        counts = [min(count, sampling.max_tokens) for count in anew]
        # The text is counted anew: the engine gives texts, and a text of all tokens that were asked for was cut.
        ends = ["length" if count >= sampling.max_tokens else "stop" for count in counts]
        prompt_tokens = sum(len(tokenizer(prompt).input_ids) for prompt in prompts)
        usage = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": sum(counts),
            "total_tokens": prompt_tokens + sum(counts),
        }
        return [{"text": text, "finish_reason": end} for text, end in zip(texts, ends, strict=True)], usage

    def _edited(self, name: Any) -> bool:
        names = [model["id"] for model in self.models()["data"]]
        if name is not None and name not in names:
            raise InputError(f"model: wanted one of {', '.join(names)}; found {name!r}")
        return bool((name or names[0]) == EDITED)

    def _response(
        self, body: Mapping[str, Any], kind: str, choices: Sequence[Any], usage: Mapping[str, int]
    ) -> dict[str, Any]:
        model = body.get("model") or self.models()["data"][0]["id"]
        nanoseconds = time.time_ns()
        values = {"id": f"errata-{nanoseconds}", "object": kind, "created": nanoseconds // 10**9, "model": model}
        return {**values, "choices": list(choices), "usage": dict(usage)}


def _sampling(body: Mapping[str, Any], tokens: int) -> Sampling:
    """How the body asks to draw. Raises InputError where a parameter is not supported or out of its range."""
    for name, neutral in _REFUSED.items():
        if name in body and body[name] is not None and body[name] != neutral:
            raise InputError(f"{name}: wanted {neutral!r}, since others are not supported; found {body[name]!r}")
    most = body.get("max_tokens") or body.get("max_completion_tokens") or tokens
    temperature = 1.0 if body.get("temperature") is None else body["temperature"]
    stop = body.get("stop") or []
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(most, int) or not 1 <= most <= _MOST_TOKENS:
        raise InputError(f"max_tokens: wanted a number from 1 to {_MOST_TOKENS}; found {most!r}")
    if not isinstance(temperature, int | float) or not 0 <= temperature <= 2:
        raise InputError(f"temperature: wanted a number from 0 to 2; found {temperature!r}")
    if not isinstance(stops, list) or not all(isinstance(text, str) and text for text in stops):
        raise InputError(f"stop: wanted a text or a list of texts; found {stop!r}")
    is_greedy = temperature == 0
    return Sampling(max_tokens=most, temperature=temperature or 1.0, top_k=0, stop=tuple(stops), greedy=is_greedy)


def _conversation(messages: Any) -> tuple[list[Turn], str]:
    """The turns before the last question, and the question: user and assistant in turn, the user last."""
    expected = "wanted messages with role and content, user and assistant in turn and the user last"
    if not isinstance(messages, list) or not messages:
        raise InputError(f"messages: {expected}; found {type(messages).__name__}")
    roles = [message.get("role") if isinstance(message, dict) else None for message in messages]
    texts = [message.get("content") if isinstance(message, dict) else None for message in messages]
    if roles != ["user", "assistant"] * (len(messages) // 2) + ["user"] or not all(isinstance(t, str) for t in texts):
        raise InputError(f"messages: {expected} (a system message is not supported); found roles {roles}")
    pairs = zip(texts[:-1:2], texts[1::2], strict=True)
    return [(str(user), str(answer)) for user, answer in pairs], str(texts[-1])


class _Handler(BaseHTTPRequestHandler):
    """HTTP around Answering."""

    answering: ClassVar[Answering]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            self._send(200, self.answering.models())
        else:
            self._refuse(404, f"{self.path}: wanted /v1/models, /v1/completions or /v1/chat/completions")

    def do_POST(self) -> None:
        answer = {"/v1/completions": self.answering.completion, "/v1/chat/completions": self.answering.chat}
        length = int(self.headers.get("Content-Length") or 0)
        if length > _MOST_BYTES:
            self.close_connection = True
            self._refuse(413, f"wanted at most {_MOST_BYTES} bytes; found {length}")
            return
        text = self.rfile.read(length)
        if self.path not in answer:
            self._refuse(404, f"{self.path}: wanted /v1/models, /v1/completions or /v1/chat/completions")
            return
        try:
            body = json.loads(text)
            if not isinstance(body, dict):
                raise InputError(f"wanted a JSON object; found {type(body).__name__}")
            result = answer[self.path](body)
        except ValueError as error:  # InputError and JSON that is none
            self._refuse(400, str(error))
            return
        self._stream(result) if body.get("stream") else self._send(200, result)

    def _stream(self, result: Mapping[str, Any]) -> None:
        """The text as one piece of an event stream."""
        values = dict(result) | {"object": "chat.completion.chunk"} if "chat" in self.path else dict(result)
        values["choices"] = [
            {**choice, "delta": choice["message"]} if "message" in choice else choice for choice in result["choices"]
        ]
        data = f"data: {json.dumps(values)}\n\ndata: [DONE]\n\n".encode()
        self._write(200, "text/event-stream", data)

    def _refuse(self, status: int, message: str) -> None:
        self._send(status, {"error": {"message": message, "type": "invalid_request_error", "code": status}})

    def _send(self, status: int, values: Mapping[str, Any]) -> None:
        self._write(status, "application/json", json.dumps(values).encode())

    def _write(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
