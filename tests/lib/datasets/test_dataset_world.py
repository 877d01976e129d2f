"""The embedded world as a dataset: enough of everything, and no leak between edits, neighborhoods and pool."""

from typing import Literal

import pytest

from lib.core.params import Facts, Own
from lib.data import world
from lib.data.dataset import Loaded
from lib.datasets.world import load
from tests.helpers.datasets import dataset_preset

PRESET = dataset_preset("world", "success")


@pytest.fixture(params=["test", "validation"])
def loaded(request: pytest.FixtureRequest, facts: Facts, own: Own) -> Loaded:
    return load({}, facts.model_copy(update={"split": request.param}), PRESET, own)


def test_it_has_four_kinds_of_entity_and_twelve_relations_of_six_phrasings() -> None:
    relations = {fact.relation for fact in world.make_world(0).facts}
    assert len({relation.entity for relation in relations}) >= 4
    assert len(relations) >= 12
    assert min(len(set(relation.phrasings)) for relation in relations) >= 6


def test_splits_share_no_subject() -> None:
    subjects: dict[str, set[str]] = {}
    for fact in world.make_world(0).facts:
        subjects.setdefault(fact.split, set()).add(fact.subject)
    assert set(subjects) == {"train", "validation", "test"}
    assert len(set.union(*subjects.values())) == sum(len(names) for names in subjects.values())


def test_the_edits_of_the_two_splits_share_no_subject(facts: Facts, own: Own) -> None:
    test = load({}, facts, PRESET, own).requests
    validation = load({}, facts.model_copy(update={"split": "validation"}), PRESET, own).requests
    assert not {edit.subject for edit in test} & {edit.subject for edit in validation}


def test_every_edit_has_its_evaluation_prompts(loaded: Loaded) -> None:
    assert len(loaded.requests) > 50
    for edit in loaded.requests:
        assert (len(set(edit.paraphrases)), len(set(edit.locality)), len(edit.generation_prompts)) == (2, 10, 3)
        assert edit.prompt not in edit.paraphrases
        assert edit.target_new != edit.target_true
        assert edit.references


def test_a_neighborhood_subject_is_not_edited_in_that_relation_and_shares_the_true_target(loaded: Loaded) -> None:
    edited = {(edit.relation, edit.subject) for edit in loaded.requests}
    subjects = {fact.subject for fact in world.make_world(0).facts}
    for edit in loaded.requests:
        for neighbor in edit.locality:
            (about,) = (subject for subject in subjects if subject in neighbor.prompt)
            assert (edit.relation, about) not in edited
            assert neighbor.target == edit.target_true


def test_the_pool_speaks_of_no_edited_or_neighborhood_subject(loaded: Loaded) -> None:
    prompts = [prompt for edit in loaded.requests for prompt in edit.evaluation_prompts]
    assert loaded.pool
    assert not any(fact.subject and fact.subject in prompt for fact in loaded.pool for prompt in prompts)


def test_request_ids_and_fact_ids_are_unique(loaded: Loaded) -> None:
    assert len({edit.request_id for edit in loaded.requests}) == len(loaded.requests)
    assert len({fact.fact_id for fact in loaded.pool}) == len(loaded.pool)


def test_some_text_is_for_training_and_some_is_held_out(loaded: Loaded) -> None:
    assert {piece.split for piece in loaded.text} == {"train", "heldout"}


def test_no_held_out_text_is_also_for_training(loaded: Loaded) -> None:
    train = {piece.text for piece in loaded.text if piece.split == "train"}
    assert not train & {piece.text for piece in loaded.text if piece.split == "heldout"}


def test_the_same_seed_gives_the_same_records_and_another_seed_others(facts: Facts, own: Own) -> None:
    reseeded = load({}, facts.model_copy(update={"seed": 1}), PRESET, own)
    assert load({}, facts, PRESET, own) == load({}, facts, PRESET, own)
    repeated = load({}, facts, PRESET, own)
    assert not {edit.prompt for edit in reseeded.requests} & {edit.prompt for edit in repeated.requests}


@pytest.mark.parametrize("split", ["test", "validation"])
def test_a_limit_keeps_the_first_edits_of_the_split(
    split: Literal["test", "validation"], facts: Facts, own: Own
) -> None:
    unlimited = load({}, facts.model_copy(update={"split": split}), PRESET, own)
    limited = load({}, facts.model_copy(update={"split": split, "limit": 5}), PRESET, own)
    assert limited.requests == unlimited.requests[:5]
    assert limited.pool == unlimited.pool
