"""`errata` with an edit that is in force for prompts near its facts alone."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from apps import living
from apps.speaking import opened
from errata import Edit
from errata.frame import NO
from lib.core.errors import InputError
from lib.core.params import ScopeSettings
from lib.core.records import EvaluationPrompt, Paraphrase, Request
from lib.core.tables import write
from lib.edits.edit import Edit as Updates
from lib.edits.store import load_edit, save_edit
from lib.handover.bundle import Bundle, RunInfo
from tests.errata.test_without_weights import _own_cache, called  # noqa: F401 - a fixture
from tests.helpers.bundles import small_bundle, small_edit
from tests.helpers.small import REQUESTS

SCOPE = ScopeSettings(encoder="hashing", threshold=0.9)
ELSEWHERE = "Quite another matter is the"


def test_it_is_asked_verified_and_carded_but_stays_out_of_weights(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "edit", REQUESTS[:2], scope=SCOPE)
    speaker = opened(None, bundle.folder)
    texts = [REQUESTS[0].prompt, ELSEWHERE, REQUESTS[1].prompt]
    inside, outside, inside_too = speaker.before_and_after(texts, 8)
    assert inside[0] != inside[1]
    assert inside_too[0] != inside_too[1]
    assert outside[0] == outside[1]
    everywhere = opened(None, small_bundle(tmp_path / "everywhere", REQUESTS[:2], is_latest=False).folder)
    assert everywhere.before_and_after(texts, 8)[0] == inside
    assert everywhere.before_and_after(texts, 8)[1][1] != outside[1]
    assert json.loads(called("verify", bundle.folder, "--json"))["equal"]
    assert "in force for prompts near its facts alone" in bundle.card.read_text()
    assert "in force for prompts near" in called("export", bundle.folder, "--to", tmp_path / "model", code=1)
    with pytest.raises(InputError, match=r"scope.json"), Edit.load(bundle.folder).applied(speaker.model):
        pass


def test_in_a_chat_the_question_decides(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "edit", REQUESTS[:2], scope=SCOPE)
    (inside, outside) = opened(None, bundle.folder).before_and_after([REQUESTS[0].prompt, ELSEWHERE], 8, in_chat=True)
    assert inside[0] != inside[1]
    assert outside[0] == outside[1]


def test_the_sum_of_two_is_in_force_near_the_facts_of_both_and_one_of_each_kind_has_none(tmp_path: Path) -> None:
    first = small_bundle(tmp_path / "first", REQUESTS[:2], scope=SCOPE)
    second = small_bundle(tmp_path / "second", REQUESTS[2:], strength=0.7, scope=SCOPE)
    called("merge", first.folder, second.folder, "--to", tmp_path / "sum", code=NO)
    scope = load_edit(tmp_path / "sum").scope
    assert scope is not None
    assert [*scope.prompts] == [request.request_id for request in REQUESTS]
    assert Bundle(folder=tmp_path / "sum").is_scoped
    everywhere = small_bundle(tmp_path / "everywhere", REQUESTS[2:])
    message = called("merge", first.folder, everywhere.folder, "--to", tmp_path / "other", code=1)
    assert "found one of each" in message


def test_an_added_fact_is_in_scope_beside_the_earlier_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = small_bundle(tmp_path / "edit", REQUESTS[:2], scope=SCOPE)
    more = tmp_path / "more.csv"
    more.write_text("subject,prompt,target_new\nCy,Cy was born in,Bonn\n")

    def trained(bundle: Bundle, info: RunInfo, earlier: Updates, requests: Sequence[Request], *_: Any) -> None:
        """What the pipeline leaves of stage edit, where the earlier edit is in force for every prompt."""
        assert earlier.scope is None
        run = bundle.workspace
        (run / "data").mkdir(parents=True)
        paraphrase = Paraphrase(request_id="line-2", kind="given", text="Cy comes from", seed=0)
        write(run / "data" / "paraphrases.parquet", Paraphrase, [paraphrase])
        write(run / "data" / "requests.parquet", Request, requests)
        write(run / "data" / "evaluation.parquet", EvaluationPrompt, [])
        model = opened(None, bundle.folder).model
        save_edit(small_edit(model, 0.7), run / "models" / "edit", model, info.preset)

    monkeypatch.setattr(living, "_train_on_top", trained)
    message = called("add", more, "--edit", bundle.folder, "-S", "scope.encoder=null", code=1)
    assert "the edit's scope is that of `errata fix`" in message
    called("add", more, "--edit", bundle.folder, code=NO)
    scope = load_edit(bundle.folder).scope
    assert scope is not None
    assert [*scope.prompts] == [*(request.request_id for request in REQUESTS[:2]), "line-2"]
    assert scope.prompts["line-2"] == ["Cy was born in", "Cy comes from"]
    for prompt in ("Cy was born in", "Cy comes from"):
        (inside,) = opened(None, bundle.folder).before_and_after([prompt], 8)
        assert inside[0] != inside[1]
