"""Stage `recall`: what is asked of the unedited model, what is left out, and what stays as it was."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lib.core import params
from lib.core.errors import InputError
from lib.core.files import read_json
from lib.core.records import Fact, LocalityPrompt, RecalledFact, Request
from lib.core.tables import read, write
from lib.models import loading
from lib.scoring.recall import recalled
from stages import recall as stage
from tests.helpers import small
from tests.helpers.stages import change_params, run_main

REQUESTS = [
    Request(request_id=str(n), dataset="own", subject=f"S{n}", relation="r", prompt=f"S{n} is", template="{} is",
            target_new="new", target_true=f"t{n}" if n < 5 else None,
            locality=(LocalityPrompt(prompt=f"L{n} is", target="a"), LocalityPrompt(prompt=f"M{n} is", target="b")))
    for n in range(6)
]  # fmt: skip
POOL = [Fact(fact_id=str(n), subject=f"P{n}", relation="r", prompt=f"P{n} is", target="x") for n in range(4)]
KNOWN = {"S1 is", "S3 is", "P0 is", "P2 is", "M1 is"}
"""Prompts whose object the model of these tests knows."""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    paths = small.inputs(tmp_path)

    def once(
        filtered: str, limit: int | None = None, sample: int = 1000, neighbors: str = "random",
        knowledge: Sequence[RecalledFact] = (),
    ) -> tuple[list[Request], list[Fact], Any]:  # fmt: skip
        write(tmp_path / "requests.parquet", Request, REQUESTS)
        write(tmp_path / "pool.parquet", Fact, POOL)
        monkeypatch.setattr(
            "lib.scoring.recall.recalled", lambda model, tokenizer, pairs, *_: [prompt in KNOWN for prompt, _ in pairs]
        )
        preset = params.preset
        change_params(monkeypatch, facts={"limit": limit}, recall={"sample": sample}, neighbors={"kind": neighbors})
        monkeypatch.setattr(
            params, "preset", lambda group, name, kind: preset(group, name, kind).model_copy(update={"known": filtered})
        )
        files = {
            name: tmp_path / f"{name}.parquet"
            for name in ("requests", "pool", "knowledge", "known-requests", "known-pool", "recall")
        }
        write(files["knowledge"], RecalledFact, knowledge)
        run_main(stage, files | {"model": paths["model"], "metrics": tmp_path / "m.json"})
        monkeypatch.undo()
        return read(files["known-requests"], Request), read(files["known-pool"], Fact), read_json(tmp_path / "m.json")

    return once


def test_without_known_nothing_is_left_out_and_a_sample_is_asked_for(run: Any) -> None:
    requests, pool, metrics = run("none", sample=3)
    assert (requests, pool) == (REQUESTS, POOL)
    assert metrics["asked"] == 3


def test_facts_of_the_pool_that_the_model_does_not_know_are_left_out(run: Any) -> None:
    requests, pool, metrics = run("pool")
    assert requests == REQUESTS
    assert [fact.prompt for fact in pool] == ["P0 is", "P2 is"]
    assert metrics == {"requests": 6, "pool": 2, "asked": 21, "known": pytest.approx(100 * 5 / 21, abs=0.01)}


def test_requests_that_correct_nothing_the_model_knows_are_left_out_before_the_limit(run: Any) -> None:
    requests, _, _ = run("all")
    assert [request.request_id for request in requests] == ["1", "3"]
    assert [prompt.prompt for prompt in requests[0].locality] == ["M1 is"]
    assert requests[1].locality == REQUESTS[3].locality  # it knows none of them: they stay, as prompts to be unchanged
    assert [request.request_id for request in run("all", limit=1)[0]] == ["1"]


def test_what_stage_knowledge_has_asked_is_taken_from_it(run: Any) -> None:
    answers = [
        RecalledFact(prompt=prompt, target="x", is_known=is_known)
        for prompt, is_known in (("P0 is", False), ("P1 is", True))
    ]
    _, pool, metrics = run(
        "pool", knowledge=[*answers, RecalledFact(prompt="of another pool", target="x", is_known=True)]
    )
    assert [fact.prompt for fact in pool] == ["P1 is", "P2 is"]
    assert metrics["asked"] == 21


def test_a_model_that_knows_nothing_is_refused(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "KNOWN", set())
    with pytest.raises(InputError, match="there is nothing to edit"):
        run("all")


def test_a_model_that_knows_nothing_of_the_pool_is_refused_where_neighbors_are_asked_for(
    run: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "KNOWN", set())
    with pytest.raises(
        InputError, match=r"the model knows none of the 4 facts of the pool\. Set model .* own\.pool to"
    ):
        run("pool")
    requests, pool, _ = run("pool", neighbors="none")
    assert (len(requests), pool) == (6, [])
    assert "the pool of unedited facts is empty" in caplog.text


def test_recall_is_the_greedy_continuation(tmp_path: Path) -> None:
    import torch

    base = small.inputs(tmp_path)["model"]
    model, tokenizer = loading.load_model(base, torch.device("cpu")), loading.load_tokenizer(base)
    prompts = ["Ann lives in ", "The sky is ", "x "]
    continued = []
    for prompt in prompts:
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        with torch.no_grad():
            token = int(model(ids).logits[0, -1].argmax())
        continued.append(tokenizer.decode([token]))
    pairs = [(prompt, target) for prompt, target in zip(prompts, continued, strict=True) if target.strip() == target]
    wrong = [(prompt, "Q" if target != "Q" else "Z") for prompt, target in pairs]
    assert pairs
    assert recalled(model, tokenizer, [*pairs, *wrong], 64) == [True] * len(pairs) + [False] * len(wrong)
