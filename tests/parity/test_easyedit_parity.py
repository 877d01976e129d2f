"""EasyEdit's convention: its numbers from its own tokens, and its tokens from our engine on the same models.

The reference scores one prompt a call; its batched calls pad on the left without positions and differ for GPT-2.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction
from typing import Any

import polars as pl
import pytest

from lib.core.records import Score
from lib.edits.apply import applied
from lib.edits.edit import Edit
from lib.metrics import scores, summaries
from lib.models.likelihood import score_targets
from lib.models.packing import pack
from lib.models.tokens import encode
from tests.helpers.models import GOLDEN, golden_model
from tests.parity.reference import memit_updates

EASYEDIT = json.loads((GOLDEN / "easyedit.json").read_text())
WHENS = {"pre": "before", "post": "after"}
KINDS = {"rewrite_acc": "efficacy", "rephrase_acc": "generalization"}
LARGEST_TARGET = 20
"""Tokens: to read a share of them as a fraction."""

models = pytest.mark.parametrize("model", sorted(EASYEDIT))


@models
def test_easyedit_is_token_accuracy_and_on_locality_prompts_the_share_of_tokens_unchanged(model: str) -> None:
    records = scores.per_record(pl.LazyFrame([asdict(row) for row in _rows(EASYEDIT[model])]))
    by_prompt = {(row["request_id"], row["kind"]): row["easyedit"] for row in records.filter(when="after").to_dicts()}
    for case, expected in EASYEDIT[model]["post"].items():
        for kind, name in (
            ("efficacy", "rewrite_acc"),
            ("generalization", "rephrase_acc"),
            ("locality", "locality_acc"),
        ):
            values = expected[name]
            assert by_prompt[case, kind] == pytest.approx(100 * sum(values) / len(values), abs=1e-9), (case, kind)


@models
def test_the_mean_over_edits_is_easyedits(model: str) -> None:
    details = summaries.details(
        scores.per_record(pl.LazyFrame([asdict(row) for row in _rows(EASYEDIT[model])])), "token_accuracy"
    )
    every = [sum(case["locality_acc"]) / len(case["locality_acc"]) for case in EASYEDIT[model]["post"].values()]
    assert details["after"]["locality"]["unchanged_tokens"]["mean"] == pytest.approx(
        100 * sum(every) / len(every), abs=1e-6
    )
    assert details["after"]["locality"]["easyedit"] == details["after"]["locality"]["unchanged_tokens"]
    assert details["before"]["locality"]["easyedit"] is None


@pytest.mark.parametrize("when", WHENS)
@models
def test_the_tokens_said_after_locality_prompts_are_easyedits(model: str, when: str) -> None:
    edited = when == "post"
    network, tokenizer = golden_model(model)
    updates = memit_updates(model, network) if edited else {}
    with applied(network, Edit(updates=updates)):
        for case, record in enumerate(json.loads((GOLDEN / "inputs/counterfact_requests.json").read_text())):
            prompts = record["neighborhood_prompts"]
            answer = record["requested_rewrite"]["target_true"]["str"]
            scores = score_targets(network, pack(encode(tokenizer, prompts, [(answer,)] * len(prompts))))
            parts = scores.argmax.split(scores.tokens.tolist())  # type: ignore[no-untyped-call]
            answers = [part.tolist() for part in parts]
            assert answers == EASYEDIT[model][when][str(case)]["locality_output"], case


def _rows(golden: Any) -> Iterator[Score]:
    """Its numbers as rows of scores: tokens right out of tokens, and the tokens said after locality prompts."""
    for easyedit_name, when in WHENS.items():
        for case, record in golden[easyedit_name].items():
            for name, kind in KINDS.items():
                for index, value in enumerate(record[name]):
                    share = Fraction(value).limit_denominator(LARGEST_TARGET)
                    yield _row(case, when, kind, index, "new", share.denominator, share.numerator, ())
            for index, answer in enumerate(record["locality_output"]):
                yield _row(case, when, "locality", index, "true", len(answer), 0, tuple(answer))


def _row(
    case: str, when: Any, kind: Any, index: int, role: Any, tokens: int, correct: int, argmax: tuple[int, ...]
) -> Score:
    return Score(
        request_id=case, session=0, when=when, kind=kind, prompt_index=index, role=role, prompt="", target="", nll=0.0,
        tokens=tokens, correct=correct, argmax=argmax,
    )  # fmt: skip
