"""`errata ask`, `chat` and `serve`: the same greedy texts, whoever asks."""

import json
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import pytest
from rich.console import Console
from typer.testing import CliRunner

from apps.chat import chat
from apps.serve import server
from apps.speaking import Speaker, opened
from errata.command import app
from lib.generation.engine import greedy
from lib.handover.bundle import Bundle
from tests.helpers.bundles import small_bundle
from tests.helpers.small import REQUESTS

PROMPT = "Ada lives in"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        return small_bundle(tmp_path_factory.mktemp("bundle") / "edit", REQUESTS[:1])


@pytest.fixture(scope="module")
def speaker(bundle: Bundle) -> Speaker:
    return opened(None, bundle.folder)


def posted(address: str, body: Any) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with urlopen(HttpRequest(address, data=data), timeout=60) as response:
        text = response.read().decode()
    return text if text.startswith("data:") else json.loads(text)


def refused(address: str, body: Any) -> tuple[int, str]:
    with pytest.raises(HTTPError) as caught:
        posted(address, body)
    return caught.value.code, json.loads(caught.value.read())["error"]["message"]


def test_ask_prints_before_and_after_and_gives_both_to_programs(bundle: Bundle, speaker: Speaker) -> None:
    result = CliRunner().invoke(app, ["ask", PROMPT, "--edit", str(bundle.folder), "--tokens", "5", "--json"])
    assert result.exit_code == 0, result.exception
    (row,) = json.loads(result.stdout)["texts"]
    ((before, after),) = speaker.before_and_after([PROMPT], 5)
    assert row == {"prompt": PROMPT, "before": before, "after": after}
    assert before != after
    printed = CliRunner().invoke(app, ["ask", PROMPT, "--edit", str(bundle.folder), "--tokens", "5"]).output
    assert "before the edit" in printed


def test_a_model_alone_is_asked_before_any_edit(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    alone = opened(str(bundle.base), None)
    assert alone.edit is None
    assert alone.name == f"the model {bundle.base}"
    ((text, after),) = alone.before_and_after([PROMPT], 5)
    assert text
    assert after is None


def test_what_is_served_greedily_is_to_the_letter_what_ask_prints(speaker: Speaker) -> None:
    with server(speaker, 0) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{running.server_port}/v1"
        with urlopen(f"{address}/models", timeout=60) as response:
            assert [model["id"] for model in json.load(response)["data"]] == ["edited", "before"]
        ((before, after),) = speaker.before_and_after([PROMPT], 6)
        body = {"prompt": PROMPT, "max_tokens": 6, "temperature": 0}
        for model, text in (("edited", after), ("before", before)):
            choice = posted(f"{address}/completions", {**body, "model": model})["choices"][0]
            assert choice["text"] == text
        chat_body = {"messages": [{"role": "user", "content": "Who?"}], "max_tokens": 6, "temperature": 0}
        answer = posted(f"{address}/chat/completions", chat_body)["choices"][0]["message"]["content"]
        (expected,) = speaker.texts(["Who?"], greedy(6), edited=True, turns=())
        assert answer == expected.strip()
        events = posted(f"{address}/chat/completions", {**chat_body, "stream": True}).split("\n\n")
        assert json.loads(events[0].removeprefix("data: "))["choices"][0]["delta"]["content"] == answer
        assert events[1] == "data: [DONE]"
        for wrong, message in (
            ({"prompt": 3}, "wanted a text or a list of texts"),
            ({**body, "model": "gpt"}, "wanted one of edited, before"),
            ({**body, "n": 2}, "n: wanted 1"),
            ({**body, "max_tokens": 0.5}, "wanted a number from 1"),
            (b"{", "Expecting"),
        ):
            code, found_message = refused(f"{address}/completions", wrong)
            assert (code, message in found_message) == (400, True)
        system = {"messages": [{"role": "system", "content": "x"}]}
        assert refused(f"{address}/chat/completions", system)[0] == 400
        assert refused(f"{address}/elsewhere", {})[0] == 404
        running.shutdown()


def test_each_side_of_a_chat_remembers_its_own_answers(speaker: Speaker) -> None:
    lines = iter(["Who?", "And who else?", "/new", "Who?", ""])
    console = Console(record=True, width=100, file=StringIO())
    assert chat(speaker, console, lambda: next(lines), tokens=4) == 3
    printed = console.export_text()
    old, new = (speaker.texts(["Who?"], greedy(4), edited=edited, turns=())[0] for edited in (False, True))
    second = [
        speaker.texts(["And who else?"], greedy(4), edited=edited, turns=[("Who?", text)])[0]
        for edited, text in ((False, old), (True, new))
    ]
    for text in (old, new, *second):
        assert (text.strip() or "(nothing)").split()[0] in printed
