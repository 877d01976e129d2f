"""A judge reads prompt, object and free text, and its yes or no is set beside exact match."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pytest

from lib.core.records import Generation, Request
from lib.generation.engine import Prompt, Sampling
from lib.metrics.agreement import agreement
from lib.scoring.judge import PROMPT, free_texts, judged


class Judge:
    """Answers yes to what has a given word in it, and remembers what it was asked."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.messages, self.sampling = list(answers), list[str](), list[Sampling]()

    def generate(self, shared_prefix: str, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        self.messages += [shared_prefix + prompt.text for prompt in prompts]
        self.sampling.append(sampling)
        return self.answers

    def prefix_cache_hit_rate(self) -> float | None:
        return None


REQUEST = Request(
    request_id="1", dataset="own", subject="Ann", relation="home", prompt="Ann lives in", template=None,
    target_new="Rome", target_true="Oslo",
)  # fmt: skip


def row(kind: Any, text: str, **changed: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "request_id": "1", "session": 0, "when": "after", "kind": kind, "prompt_index": 0, "decoding": "greedy",
        "prompt": "Ann lives in", "text": text, "seed": None, "truncated": False,
    }  # fmt: skip
    return asdict(Generation(**values | changed))


def test_the_edited_models_greedy_texts_are_judged_and_a_chat_by_its_question() -> None:
    rows = [
        row("efficacy", " Rome, Italy."), row("efficacy", " Oslo.", when="before"),
        row("generation", " Rome.", decoding="sampled"), row("implied", " Italy"),
        row("chat", "She lives in Rome.", prompt="<user>Where?</>"),
    ]  # fmt: skip
    texts = free_texts(rows, [REQUEST])
    assert [(text.kind, text.matches) for text in texts] == [("efficacy", True), ("chat", True)]
    assert texts[0].message == PROMPT.format(prompt="Ann lives in", target="Rome", text="Rome, Italy.")
    assert "<user>" not in texts[1].message
    assert "Ann" in texts[1].prompt


def test_the_first_yes_or_no_counts_and_neither_is_no_answer() -> None:
    judge = Judge(" Yes.", "NO, it says yes to Oslo", "Possibly", "Nobody knows")
    texts = free_texts([row("efficacy", text) for text in (" Rome", " Oslo", " {Rome}", "")], [REQUEST])
    assert judged(judge, texts) == [True, False, None, None]
    assert judge.sampling[0].greedy
    assert "Written: {Rome}" in judge.messages[2]


def test_agreement_is_the_share_of_texts_with_the_same_word_and_kappa_what_chance_does_not_explain() -> None:
    yes = [True] * 20 + [True] * 5 + [False] * 10 + [False] * 15 + [None] * 3
    matches = [True] * 20 + [False] * 5 + [True] * 10 + [False] * 15 + [True] * 3
    figures = agreement(yes, matches)
    assert (figures["n"], figures["unanswered"]) == (50, 3)
    assert (figures["yes"], figures["exact_match"], figures["agreement"]) == (50.0, 60.0, 70.0)
    assert figures["kappa"] == 0.4  # the example of Cohen's kappa in its article of Wikipedia
    assert figures["agreement_ci95"] == pytest.approx(100 * 1.96 * (0.7 * 0.3 / 50) ** 0.5, abs=1e-3)


@pytest.mark.parametrize(
    ("yes", "matches", "kappa"), [([True, True], [True, True], None), ([True, False], [False, True], -1.0)]
)
def test_kappa_of_a_judge_that_never_differs_is_not_known(
    yes: list[bool], matches: list[bool], kappa: float | None
) -> None:
    assert agreement(yes, matches)["kappa"] == kappa


def test_a_judge_without_an_answer_has_no_figures() -> None:
    assert agreement([None], [True]) == {
        "n": 0, "unanswered": 1, "yes": None, "ci95": None, "exact_match": None, "agreement": None,
        "agreement_ci95": None, "kappa": None,
    }  # fmt: skip
