"""The scope of an edit: on disk, in a sum, and which prompts it is in force for."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lib.core.errors import InputError
from lib.core.params import ScopeSettings
from lib.core.records import Paraphrase
from lib.edits.edit import Edit, compose
from lib.edits.scope import Scope, scope_of
from lib.edits.scope_classifier import ScopeClassifier
from lib.edits.store import digests, read_edit, write_edit
from lib.edits.updates import Dense
from lib.export.merge import check_in_weights
from tests.lib.scoring.test_scorer import requests

SCOPE = Scope(prompts={"Rome": ["Rome is a part of"]}, encoder="hashing", threshold=0.7)


def edit(scope: Scope | None = SCOPE) -> Edit:
    return Edit(updates={"a": Dense(delta=torch.ones(2, 2))}, scope=scope)


def test_it_is_made_of_prompts_and_training_paraphrases_where_an_encoder_is_named() -> None:
    paraphrases = [
        Paraphrase(request_id=name, kind="given", text=f"{name} lies in", seed=0) for name in ("Oslo", "Bonn")
    ]
    made_of = scope_of(requests(2), paraphrases, settings=ScopeSettings(encoder="hashing", threshold=0.6))
    assert made_of == Scope(
        prompts={"Rome": ["Rome is a part of"], "Oslo": ["Oslo is a part of", "Oslo lies in"]},
        encoder="hashing",
        threshold=0.6,
    )
    assert scope_of(requests(2), settings=ScopeSettings(encoder=None, threshold=0.6)) is None


def test_a_prompt_near_a_fact_is_inside_and_so_is_one_whose_last_sentence_is() -> None:
    classifier = ScopeClassifier(scope=SCOPE)
    prompts = {
        "Rome is a part of": True,
        "In short: Rome is a part of": True,
        "He went home early. Rome is a part of": True,
        "The mother tongue of Ada Lovelace is": False,
    }
    classifier.classify([*prompts])
    assert {prompt: classifier.holds(prompt) for prompt in prompts} == prompts
    assert ScopeClassifier.of(edit(None), "cpu").holds("anything")
    nothing = ScopeClassifier(scope=replace(SCOPE, prompts={}))
    assert not nothing.holds("Rome is a part of")
    in_other_words = ScopeClassifier(scope=replace(SCOPE, prompts={"Rome": ["Rome is a part of", "Ada writes in"]}))
    assert in_other_words.holds("Ada writes in")


def test_on_disk_it_stays_what_it_is_and_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    write_edit(edit(), tmp_path)
    assert read_edit(tmp_path).scope == SCOPE
    assert "scope.json" in digests(tmp_path)
    (tmp_path / "scope.json").write_text('{"prompts": {"Rome": 3}, "encoder": "hashing", "threshold": 0.7}')
    with pytest.raises(InputError, match="wanted a scope: lists of prompts by request_id, encoder, threshold"):
        read_edit(tmp_path)


def test_a_sum_is_in_force_for_the_facts_of_both_and_needs_two_scopes() -> None:
    later = Scope(prompts={"Oslo": ["Oslo is in"], "Rome": ["Rome lies in"]}, encoder="hashing", threshold=0.6)
    prompts = {"Rome": ["Rome is a part of", "Rome lies in"], "Oslo": ["Oslo is in"]}
    assert compose(edit(), edit(later)).scope == replace(later, prompts=prompts)
    assert later.renamed({"Oslo": "Oslo-2", "Rome": "Rome"}).prompts.keys() == {"Oslo-2", "Rome"}
    assert compose(Edit(updates={}), edit()).scope == SCOPE
    with pytest.raises(ValueError, match="one of two edits has a scope"):
        compose(edit(), edit(None))


def test_no_weight_can_hold_it() -> None:
    with pytest.raises(InputError, match=r"in force for prompts near its facts alone.*scope.encoder=null"):
        check_in_weights(edit())


def test_an_encoder_that_is_not_there_is_an_error_that_names_the_file() -> None:
    with pytest.raises(InputError, match=r"the encoder that the edit's scope.json names: .*no-such"):
        ScopeClassifier(scope=replace(SCOPE, encoder="no-such")).holds("Rome")
