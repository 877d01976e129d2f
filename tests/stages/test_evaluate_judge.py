"""Stage `evaluate` with a judge: its word in the metrics and on the page; without one nothing is different."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lib.core import cache
from lib.core.errors import InputError
from lib.scoring.judge import PROMPT
from tests.helpers.models import CHAT_TEMPLATE, byte_tokenizer, tiny_model
from tests.helpers.stages import change_params
from tests.lib.generation.test_chat import Handler, Server, address
from tests.stages.test_evaluate import KINDS, Project, by_success, request, scores

__all__ = ["by_success"]


class YesToRed(Handler):
    """Says yes where the text that was written has `red` in it."""

    def _send(self, values: dict[str, Any] | None) -> None:
        if values is not None and "choices" in values:
            written = values["choices"][0]["message"]["content"].split("WRITTEN:")[1].split("\n")[0]
            values["choices"][0]["message"]["content"] = "Yes." if "RED" in written else "No."
        super()._send(values)


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server(("127.0.0.1", 0), YesToRed)
    running.received, running.keys = [], []
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Three edits, of which the model writes the first one's object."""
    edits = [request(number) for number in range(3)]
    return Project(tmp_path, edits, scores(edits, {"edit 0"}, KINDS), None)


def test_a_servers_word_stands_in_the_metrics_and_on_the_page_with_its_name_and_prompt(
    project: Project, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_params(monkeypatch, score={"judge": address(server)})
    metrics = project.evaluate(monkeypatch)
    judge = metrics["judge"]
    assert (judge["model"], judge["prompt"]) == (address(server), PROMPT)
    figures = {name: judge["efficacy"][name] for name in judge["efficacy"] if not name.endswith("ci95")}
    assert figures == {
        "n": 3, "unanswered": 0, "yes": 33.3333, "exact_match": 33.3333, "agreement": 100.0, "kappa": 1.0,
    }  # fmt: skip
    assert len(server.received) == 2 * 3
    assert {sent["temperature"] for sent in server.received} == {0.0}
    page = project.report(monkeypatch)
    assert "What a judge model says" in page
    assert address(server) in page


def test_a_judge_changes_nothing_but_its_own_section(
    project: Project, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_params(monkeypatch, score={"judge": None})
    metrics, details = project.evaluate(monkeypatch), project.details()
    plots = {path.name: path.read_bytes() for path in (project.root / "plots").iterdir()}
    assert "judge" not in metrics
    assert server.received == []
    change_params(monkeypatch, score={"judge": address(server)})
    assert {name: value for name, value in project.evaluate(monkeypatch).items() if name != "judge"} == metrics
    assert {path.name: path.read_bytes() for path in (project.root / "plots").iterdir()} == plots
    assert {**project.details(), "numbers": metrics} == details


def test_a_model_on_this_machine_judges_in_its_template(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A random model says neither yes nor no: every text is there, unanswered."""
    tokenizer = byte_tokenizer()
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path / "cache")
    change_params(monkeypatch, score={"judge": str(tmp_path / "random")})
    tiny_model("llama").save_pretrained(tmp_path / "random")
    tokenizer.save_pretrained(tmp_path / "random")
    with pytest.raises(
        InputError, match=r"score\.judge: wanted a chat model; found .*random, whose tokenizer has no chat"
    ):
        project.evaluate(monkeypatch)
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(tmp_path / "random")
    judge = project.evaluate(monkeypatch)["judge"]
    assert judge["efficacy"]["n"] + judge["efficacy"]["unanswered"] == 3
    assert {*judge} == {"model", "prompt", "efficacy", "generalization"}


def test_a_judge_that_is_nothing_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    change_params(monkeypatch, score={"judge": "smolm2-135m"})
    with pytest.raises(InputError, match=r"score\.judge: wanted one of .* found 'smolm2-135m'\. Did you mean"):
        project.evaluate(monkeypatch)
