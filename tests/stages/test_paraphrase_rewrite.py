"""Stage paraphrase where prompts are said in other words: by rules, and by a chat model where these are too few."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lib.core.params import Para, section
from lib.core.records import EvaluationPrompt, Paraphrase, Request
from lib.core.tables import read, write
from lib.generation import backends
from lib.generation.backends import generator as real_generator
from lib.generation.engine import Generator, Prompt, Sampling
from stages import paraphrase as stage
from tests.helpers import small
from tests.helpers.models import CHAT_TEMPLATE, byte_tokenizer
from tests.helpers.stages import change_params, run_main

SETTINGS = section("para", Para).model_copy(
    update={
        "method": "rewrite",
        "backend": "transformers",
        "n": 6,
        "samples": 1,
        "rules_distance": 1.0,
        "chat_distance": 1.0,
    }
)
BARE = replace(small.REQUESTS[0], request_id="bare", subject="Kim", prompt="Kim never sings", paraphrases=())
RULED = replace(BARE, request_id="ruled", subject="Lea", prompt="Lea lives in")
RunStage = Callable[..., tuple[list[Paraphrase], list[EvaluationPrompt], dict[str, Any]]]


class ChatModel:
    """Answers every order with another verb, and remembers what it was told."""

    def __init__(self) -> None:
        self.messages = list[str]()

    def generate(self, shared_prefix: str, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        self.messages += [prompt.text for prompt in prompts]
        return ["Kim hates" if "other words" in prompt.text else "Kim avoids" for prompt in prompts]

    def prefix_cache_hit_rate(self) -> None:
        return None


@pytest.fixture
def writer() -> ChatModel:
    return ChatModel()


@pytest.fixture
def run_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: ChatModel) -> RunStage:
    paths = small.inputs(tmp_path)
    write(paths["requests"], Request, [BARE, RULED])
    options = {name: paths[name] for name in ("requests", "pool", "model")}
    options |= {name: tmp_path / "out" / name for name in ("paraphrases", "evaluation", "metrics", "results")}

    @contextmanager
    def started(para: Para, base: Path) -> Iterator[Generator]:
        yield writer

    def run_stage(
        template: bool, engine: Any = started, **changes: object
    ) -> tuple[list[Paraphrase], list[EvaluationPrompt], dict[str, Any]]:
        tokenizer = byte_tokenizer()
        tokenizer.chat_template = CHAT_TEMPLATE if template else None
        tokenizer.save_pretrained(paths["model"])
        monkeypatch.setenv("DVC_ROOT", str(tmp_path))
        change_params(monkeypatch, para=SETTINGS.model_copy(update=changes).model_dump())
        monkeypatch.setattr(backends, "generator", engine)
        run_main(stage, options)
        rows = read(options["paraphrases"], Paraphrase), read(options["evaluation"], EvaluationPrompt)
        return *rows, json.loads(options["metrics"].read_text())

    return run_stage


def test_a_chat_model_is_asked_where_rules_give_too_few_and_not_scored_on(
    run_stage: RunStage, writer: ChatModel, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        paraphrases, evaluation, metrics = run_stage(template=True)
    assert {message.split(": ")[1] for message in writer.messages} == {BARE.prompt}
    kinds = {(paraphrase.request_id, paraphrase.kind) for paraphrase in paraphrases}
    assert kinds == {("bare", "chat"), ("ruled", "rules")}
    assert {paraphrase.text for paraphrase in paraphrases if paraphrase.kind == "chat"} == {"Kim hates", "Kim avoids"}
    assert {prompt.request_id for prompt in evaluation} == {"ruled"}
    assert not {prompt.prompt for prompt in evaluation} & {paraphrase.text for paraphrase in paraphrases}
    rules = metrics["kept"] - 2
    assert (metrics["kept_chat"], metrics["kept_rules"]) == (2, rules)
    assert (metrics["evaluation"], metrics["evaluation_shortfall"]) == (2, 2)
    assert (
        f"kept 2 chat, {rules} rules; 0 of 2 edits have none to train on; 2 written for scoring, 2 missing"
        in caplog.text
    )


def test_without_a_template_rules_rewrite_alone(run_stage: RunStage, writer: ChatModel) -> None:
    paraphrases, _, metrics = run_stage(template=False)
    assert {paraphrase.kind for paraphrase in paraphrases} == {"rules"}
    assert (writer.messages, metrics["backend"]) == ([], None)


@pytest.mark.parametrize("backend", ["transformers", "vllm"])
def test_chat_asked_for_without_a_template_is_an_error(run_stage: RunStage, backend: str) -> None:
    with pytest.raises(ValueError, match=r"para.model: wanted a chat model, for para.method=chat; found .*models/base"):
        run_stage(template=False, engine=real_generator, method="chat", backend=backend)


def test_what_is_far_from_its_prompt_is_dropped(run_stage: RunStage) -> None:
    paraphrases, evaluation, _ = run_stage(template=True, rules_distance=0.0, chat_distance=0.0)
    assert (paraphrases, evaluation) == ([], [])


def test_a_real_engine_answers_in_the_template(run_stage: RunStage) -> None:
    _, _, metrics = run_stage(template=True, engine=real_generator, method="chat", chat_tokens=8)
    assert metrics["backend"] == "transformers"
