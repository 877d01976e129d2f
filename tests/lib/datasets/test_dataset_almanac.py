"""The almanac: enough certain facts, phrasings that give nothing away, and no leak between edits, prompts and pool."""

from collections import Counter
from pathlib import Path

import pytest

from lib.core.params import Facts, Own
from lib.core.texts import contains, fill
from lib.data import almanac, prose
from lib.data.almanac import AlmanacFact, Relation
from lib.data.dataset import Loaded
from lib.datasets.almanac import load
from tests.helpers.datasets import dataset_preset

PRESET = dataset_preset("almanac", "success")
FACTS = almanac.facts()
RELATIONS = {fact.relation.name: fact.relation for fact in FACTS}
SEEDS = range(3)


def facts_of(relation: str) -> list[AlmanacFact]:
    return [fact for fact in FACTS if fact.relation.name == relation]


def phrasings(relation: Relation) -> list[str]:
    return [*relation.asked, *relation.training, *relation.generation]


@pytest.fixture(params=["test", "validation"])
def loaded(request: pytest.FixtureRequest, facts: Facts, own: Own) -> Loaded:
    return load({}, facts.model_copy(update={"split": request.param}), PRESET, own)


def test_it_has_ten_relations_of_thirty_facts_and_seven_hundred_facts_in_all() -> None:
    assert len(RELATIONS) >= 10
    assert len(FACTS) >= 700
    assert min(Counter(fact.relation.name for fact in FACTS).values()) >= 30


def test_every_relation_has_a_main_and_four_evaluation_and_four_other_training_phrasings() -> None:
    for relation in RELATIONS.values():
        assert len(relation.evaluation) >= 4
        assert len(relation.training) >= 4
        assert len(relation.generation) >= 2
        assert len(set(phrasings(relation))) == len(phrasings(relation)), relation.name


def test_a_relation_says_one_thing_of_a_subject() -> None:
    repeated = [key for key, count in Counter(fact.fact_id for fact in FACTS).items() if count > 1]
    assert not repeated


@pytest.mark.parametrize("relation", RELATIONS)
def test_a_filled_phrasing_names_its_subject_once_and_begins_with_a_capital(relation: str) -> None:
    for fact in facts_of(relation):
        for phrasing in phrasings(fact.relation):
            prompt = fill(phrasing, fact.subject)
            assert f" {prompt} ".count(fact.subject) == 1, prompt
            assert prompt[0] == prompt[0].upper(), prompt
            assert not prompt[-1].isspace()


@pytest.mark.parametrize("relation", RELATIONS)
def test_no_prompt_gives_its_answer_away_and_no_answer_its_subject(relation: str) -> None:
    for fact in facts_of(relation):
        assert not contains(fact.target, fact.subject), fact.fact_id
        for phrasing in phrasings(fact.relation):
            assert not contains(fill(phrasing, fact.subject), fact.target), (phrasing, fact.fact_id)


def test_objects_are_spelled_alike_everywhere_and_without_white_space_around_them() -> None:
    objects = {fact.target for fact in FACTS}
    assert all(target == target.strip() and "  " not in target for target in objects)
    assert len({target.casefold().removeprefix("the ") for target in objects}) == len(objects)


def test_a_relation_has_several_objects() -> None:
    for relation in RELATIONS:
        assert len({fact.target for fact in facts_of(relation)}) >= 5


@pytest.mark.parametrize("seed", SEEDS)
def test_every_edit_has_its_evaluation_prompts_for_every_seed(seed: int, facts: Facts, own: Own) -> None:
    for split in ("test", "validation"):
        edits = load({}, facts.model_copy(update={"split": split, "seed": seed}), PRESET, own).requests
        assert {edit.relation for edit in edits} == set(RELATIONS)
        for edit in edits:
            assert (len(set(edit.paraphrases)), len(set(edit.locality))) == (4, almanac.LOCALITY_PROMPTS), (
                edit.request_id
            )
            assert len(edit.generation_prompts) == 3
            assert edit.references


def test_the_new_object_is_another_object_of_the_relation_that_no_prompt_names(loaded: Loaded) -> None:
    for edit in loaded.requests:
        assert edit.relation
        assert edit.target_new in {fact.target for fact in facts_of(edit.relation)} - {edit.target_true}
        assert not any(contains(prompt, edit.target_new) for prompt in (edit.prompt, *edit.paraphrases))


def test_an_edit_is_the_fact_of_its_id_in_the_main_phrasing(loaded: Loaded) -> None:
    true = {fact.fact_id: fact for fact in FACTS}
    for edit in loaded.requests:
        fact = true[edit.request_id]
        assert (edit.template, edit.target_true) == (fact.relation.main, fact.target)
        assert edit.prompt == fill(fact.relation.main, fact.subject)


def test_evaluation_phrasings_are_trained_on_nowhere(loaded: Loaded) -> None:
    evaluated = {phrasing for relation in RELATIONS.values() for phrasing in relation.evaluation}
    assert not evaluated & {fact.template for fact in loaded.pool}
    for edit in loaded.requests:
        training = edit.train_paraphrases
        assert len(training) >= 4
        assert not {*training} & {*edit.evaluation_prompts}


def test_a_locality_prompt_is_a_true_fact_of_the_relation_about_a_subject_that_is_neither_edited_nor_in_the_pool(
    loaded: Loaded,
) -> None:
    edited, taught = {edit.subject for edit in loaded.requests}, {fact.subject for fact in loaded.pool}
    true = {
        (fact.relation.name, fill(phrasing, fact.subject), fact.target): fact.subject
        for fact in FACTS
        for phrasing in fact.relation.asked
    }
    for edit in loaded.requests:
        for locality_prompt in edit.locality:
            assert true[str(edit.relation), locality_prompt.prompt, locality_prompt.target] not in edited | taught
            assert locality_prompt.target != edit.target_new


@pytest.mark.parametrize("seed", SEEDS)
def test_splits_and_pool_share_no_subject(seed: int, facts: Facts, own: Own) -> None:
    seeded = facts.model_copy(update={"seed": seed})
    test = load({}, seeded, PRESET, own)
    validation = load({}, seeded.model_copy(update={"split": "validation"}), PRESET, own)
    assert test.pool == validation.pool
    subjects = [{row.subject for row in rows} for rows in (test.requests, validation.requests, test.pool)]
    assert sum(len(group) for group in subjects) == len(set.union(*subjects))


def test_edit_ids_and_fact_ids_are_unique(loaded: Loaded) -> None:
    assert len({edit.request_id for edit in loaded.requests}) == len(loaded.requests)
    assert len({fact.fact_id for fact in loaded.pool}) == len(loaded.pool)


def test_the_same_seed_gives_the_same_records_and_another_seed_others(facts: Facts, own: Own) -> None:
    loaded, reseeded = load({}, facts, PRESET, own), load({}, facts.model_copy(update={"seed": 1}), PRESET, own)
    assert load({}, facts, PRESET, own) == loaded
    assert [edit.request_id for edit in reseeded.requests] != [edit.request_id for edit in loaded.requests]


@pytest.mark.parametrize("limit", [5, None])
def test_a_limit_is_for_whoever_knows_what_the_model_knows(limit: int | None, facts: Facts, own: Own) -> None:
    assert load({}, facts.model_copy(update={"limit": limit}), PRESET, own) == load({}, facts, PRESET, own)


def test_where_nothing_is_edited_the_pool_is_the_whole_almanac(facts: Facts, own: Own) -> None:
    loaded = load({}, facts.model_copy(update={"limit": 0}), PRESET, own)
    assert not loaded.requests
    assert {fact.fact_id.rpartition("/")[0] for fact in loaded.pool} == {fact.fact_id for fact in FACTS}


def test_its_text_is_the_embedded_prose_or_that_of_a_file(tmp_path: Path, facts: Facts, own: Own) -> None:
    assert load({}, facts, PRESET, own).text == prose.text(facts.seed)
    (tmp_path / "plain.txt").write_text("\n".join(f"Line {number}." for number in range(20)))
    assert len(load({"text": tmp_path / "plain.txt"}, facts, PRESET, own).text) == 20


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("main\tIt is {}\n\nParis\n", r"small\.tsv:3: wanted two cells with a tab between them; found 'Paris'"),
        ("main\tIt is {}\n\nParis\tFrance \n", r"small\.tsv:3: wanted two cells"),
        ("main\tIt is\n\nParis\tFrance\n", r"small\.tsv:1: wanted one of main, .* and a phrasing with one {}"),
        ("mian\tIt is {}\n\nParis\tFrance\n", r"small\.tsv:1: wanted one of main, .* found 'mian"),
        ("training\tIt is {}\n\nParis\tFrance\n", r"small\.tsv: wanted one phrasing with the role main; found 0"),
    ],
)
def test_a_file_of_another_form_is_an_error_with_its_line(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "small.tsv").write_text(text)
    with pytest.raises(ValueError, match=complaint):
        almanac.relation_facts(tmp_path / "small.tsv")
