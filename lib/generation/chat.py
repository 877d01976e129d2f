"""Answers to chat messages, by a model's template or by a server: engines whose prompts are a user's messages.

They have the interface of any generation engine (engine.py). What all prompts of a call share are the earlier turns of
the conversation, as `shared_turns` writes them.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lib.core.errors import InputError
from lib.generation.engine import Generator, Prompt, Sampling
from lib.models.control import apart
from lib.models.templates import Turn, around_question

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

KEY = "ERRATA_API_KEY"
"""Environment variable with a server's key, where it wants one; it is sent to the address that para.model or
score.judge gives, and nowhere else."""
_SECONDS = 120
"""Until a server must have answered."""


def shared_turns(turns: Sequence[Turn]) -> str:
    """Earlier turns as the shared prefix of a chat engine's call."""
    return json.dumps([list(turn) for turn in turns])


def is_address(model: str) -> bool:
    """Whether a model's name is the address of a server, not a folder."""
    return model.startswith(("http://", "https://"))


class TemplateGenerator:
    """Answers of a model in its tokenizer's chat template, written by another engine."""

    def __init__(self, engine: Generator, tokenizer: PreTrainedTokenizerBase) -> None:
        self._engine = engine
        self._tokenizer = tokenizer

    def generate(self, shared_prefix: str, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        """The answer to each prompt's text as the next message after the turns of `shared_prefix`."""
        before, after = around_question(self._tokenizer, _turns(shared_prefix))
        messages = [
            Prompt(text=apart(self._tokenizer, prompt.text.strip()) + after, seed=prompt.seed) for prompt in prompts
        ]
        return self._engine.generate(before, messages, sampling)

    def prefix_cache_hit_rate(self) -> float | None:
        """That of the engine."""
        return self._engine.prefix_cache_hit_rate()


class ServerGenerator:
    """Answers of an OpenAI-compatible server: POST <address>/chat/completions, one message at a time.

    Address: http://host:port/v1, with #name where another than the server's first model shall write.
    """

    def __init__(self, address: str, setting: str = "para.model") -> None:
        """`setting` names the address in messages: where it comes from."""
        self._setting = setting
        self._address, _, name = address.partition("#")
        self._address = self._address.rstrip("/")
        self._name = name or str(self._field(self._request("/models", None), "data", 0, "id"))

    def generate(self, shared_prefix: str, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        """The answer to each prompt's text as the next message after the turns of `shared_prefix`.

        Raises InputError where the server cannot be reached, refuses, or answers something else than it should.
        """
        earlier = [
            {"role": role, "content": text}
            for turn in _turns(shared_prefix)
            for role, text in zip(("user", "assistant"), turn, strict=True)
        ]
        return [self._answer([*earlier, {"role": "user", "content": prompt.text}], prompt.seed, sampling)
                for prompt in prompts]  # fmt: skip

    def prefix_cache_hit_rate(self) -> float | None:
        """None: the server does not say."""
        return None

    def _answer(self, messages: list[dict[str, str]], seed: int, sampling: Sampling) -> str:
        values: dict[str, Any] = {"model": self._name, "messages": messages, "max_tokens": sampling.max_tokens}
        values |= {"temperature": 0.0 if sampling.greedy else sampling.temperature, "seed": seed, "stream": False}
        answer = self._request("/chat/completions", values)
        return str(self._field(answer, "choices", 0, "message", "content"))

    def _request(self, path: str, values: dict[str, Any] | None) -> Any:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY):
            headers["Authorization"] = f"Bearer {key}"
        body = None if values is None else json.dumps(values).encode()
        request = urllib.request.Request(self._address + path, data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            detail = error.read(300).decode(errors="replace")
            raise InputError(
                f"{self._setting}: {self._address}{path} refused with {error.code}: {detail}. Name a model that the "
                f"server has after #, and set {KEY} where it wants a key"
            ) from None
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self._setting}: wanted an OpenAI-compatible server at {self._address}; {path} gave {error}. Start "
                "it, or correct the address (it ends in /v1 with most servers)"
            ) from error

    def _field(self, answer: Any, *keys: str | int) -> Any:
        """What an answer has at the end of a path of keys."""
        try:
            for key in keys:
                answer = answer[key]
        except (KeyError, IndexError, TypeError):
            path = ".".join(map(str, keys))
            raise InputError(
                f"{self._setting}: {self._address}: wanted {path} in the answer; found {str(answer)[:200]!r}"
            ) from None
        return answer


def _turns(shared_prefix: str) -> list[Turn]:
    return [(question, answer) for question, answer in json.loads(shared_prefix or "[]")]
