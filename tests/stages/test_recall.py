"""Stage `recall`: what is asked of the unedited model, what is left out, and what stays as it was."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
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
        knowledge: Sequence[RecalledFact] = (), requests: Sequence[Request] = REQUESTS, pool: Sequence[Fact] = POOL,
        locality: int = 2,
    ) -> tuple[list[Request], list[Fact], Any]:  # fmt: skip
        write(tmp_path / "requests.parquet", Request, requests)
        write(tmp_path / "pool.parquet", Fact, pool)
        monkeypatch.setattr(
            "lib.scoring.recall.recalled", lambda model, tokenizer, pairs, *_: [prompt in KNOWN for prompt, _ in pairs]
        )
        preset = params.preset
        change_params(
            monkeypatch,
            facts={"limit": limit},
            recall={"sample": sample, "locality": locality},
            neighbors={"kind": neighbors},
        )
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
    assert metrics == {
        "requests": 6, "pool": 2, "asked": 21, "known": pytest.approx(100 * 5 / 21, abs=0.01),
        "locality_of_file": 12, "locality_of_pool": 0, "locality_of_subject": 0,
    }  # fmt: skip


def own_facts(*localities: int) -> list[Request]:
    """Facts of one's own with so many locality prompts each."""
    return [
        replace(REQUESTS[n], locality=tuple(LocalityPrompt(prompt=f"L{n} {i}", target="a") for i in range(count)))
        for n, count in enumerate(localities)
    ]


def capitals(monkeypatch: pytest.MonkeyPatch, *subjects: str) -> list[Fact]:
    """Facts about these subjects, all known."""
    facts = [
        Fact(fact_id=name, subject=name, relation="capital", prompt=f"{name}'s capital is", target=f"{name} City")
        for name in subjects
    ]
    monkeypatch.setattr(sys.modules[__name__], "KNOWN", {fact.prompt for fact in facts})
    return facts


def test_facts_that_give_no_locality_prompts_get_known_ones_of_the_pool(
    run: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pool = capitals(monkeypatch, *"ABCDEFGHIJKLMNOPQR")
    requests, _, metrics = run("pool", requests=own_facts(0, 3, 0), pool=pool)
    assert [len(request.locality) for request in requests] == [2, 3, 2]
    prompts = [*requests[0].locality, *requests[2].locality]
    statements = {(fact.prompt, fact.target) for fact in pool}
    assert len({prompt.prompt for prompt in prompts}) == 4
    assert all((prompt.prompt, prompt.target) in statements for prompt in prompts)
    assert (metrics["locality_of_file"], metrics["locality_of_pool"]) == (3, 4)
    assert "4 known facts of the pool are locality prompts of the 2 facts that give none" in caplog.text
    pool = capitals(monkeypatch, *"ABCDEFGHIJKLMNOPQR")
    longer, _, _ = run("pool", requests=own_facts(0, 3, 0, 0), pool=pool)
    assert longer[:3] == requests  # more facts leave the prompts of earlier ones as they are
    pool = capitals(monkeypatch, *"ABCDEFGHIJKLMNOPQR")
    assert run("pool", requests=own_facts(0, 0), pool=pool, locality=0)[0] == own_facts(0, 0)


def test_no_locality_prompt_is_about_what_is_edited_and_most_of_the_pool_is_left_to_train_on(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = capitals(monkeypatch, "S0", "S1", "S2", *"ABCDEFGHI")
    edits = [replace(request, relation="capital") for request in own_facts(0, 0, 0)]
    requests, _, metrics = run("pool", requests=edits, pool=pool)
    prompts = [prompt.prompt for request in requests for prompt in request.locality]
    assert len(prompts) == metrics["locality_of_pool"] == 3  # a quarter of the twelve facts
    assert not any(prompt.startswith("S") for prompt in prompts)


def test_known_facts_about_the_subjects_of_edits_are_asked_too_and_counted(
    run: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pool = capitals(monkeypatch, "S0", *"ABCDEFGHIJKLMNOPQRSTUVW")
    requests, _, metrics = run("pool", requests=own_facts(0, 2), pool=pool)
    prompts = [prompt.prompt for prompt in requests[0].locality]
    assert prompts[0] == "S0's capital is"
    assert (len(prompts), metrics["locality_of_subject"]) == (3, 1)
    assert "of all locality prompts 1 are about the subject of their own edit" in caplog.text


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
