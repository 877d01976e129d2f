"""Intervals, the tasks made from a pool, and where a task's documents come from."""

from pathlib import Path
from typing import Any

import datasets
import pytest

from lib.abilities import answers as ability_metrics
from lib.abilities import harness, pool_tasks, tasks
from lib.abilities.figures import standard_error
from lib.abilities.measure import unfit
from lib.core.records import Fact
from lib.core.texts import normalize


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def facts(*answers: str, relation: str | None = "city") -> list[Fact]:
    return [
        Fact(fact_id=f"{number}", subject=None, relation=relation, prompt=f"Town {number} is in", target=answer)
        for number, answer in enumerate(answers)
    ]


def test_the_error_of_a_mean_is_its_deviation_over_the_root_of_n() -> None:
    assert standard_error(mean, [0.0, 0.0, 1.0, 1.0], 0) == pytest.approx(0.5 / 2)
    assert standard_error(mean, [1.0], 0) == 0


def test_the_error_of_anything_else_is_its_deviation_over_resamples() -> None:
    counts = [(1.0, 0.0, 0.0), (0.0, 1.0, 1.0)] * 200  # f1 = 2 * 200 / (2 * 200 + 200 + 200) = 0.5
    error = standard_error(ability_metrics.f1, counts, 0)
    # With k rights among n = 400, f1 = k / n: a binomial share.
    assert error == pytest.approx((0.25 / 400) ** 0.5, rel=0.2)
    assert error == standard_error(ability_metrics.f1, counts, 0) != standard_error(ability_metrics.f1, counts, 1)


def test_four_choices_are_the_target_and_three_others_of_its_relation() -> None:
    pool = facts("Oslo", "Rome", "Bern", "Lima", "Oslo") + facts("saw", "axe", "pen", "pot", relation="tool")
    documents = pool_tasks.four_choice(pool, 0)
    assert documents == pool_tasks.four_choice(pool, 0)
    for fact, document in zip(pool, documents, strict=True):
        assert document["choices"][document["gold"]] == fact.target
        choices = {"Oslo", "Rome", "Bern", "Lima"} if fact.relation == "city" else {"saw", "axe", "pen", "pot"}
        assert set(document["choices"]) == choices
    assert len({document["gold"] for document in documents}) > 1


def test_a_relation_with_few_targets_borrows_from_the_rest() -> None:
    pool = facts("Oslo", "OSLO", "Rome") + facts("saw", "axe", relation=None)
    for fact, document in zip(pool, pool_tasks.four_choice(pool, 0), strict=True):
        assert len({normalize(choice) for choice in document["choices"]}) == 4
        assert document["choices"][document["gold"]] == fact.target


def test_yes_no_statements_are_true_and_false_by_turns_and_false_ones_are_false() -> None:
    pool = facts(*("Oslo", "Rome", "Bern", "Lima") * 3)
    examples, questions = pool_tasks.yes_no(pool, 0)
    assert (len(examples), len(questions)) == (4, 8)
    true = {f"{fact.prompt} {fact.target}." for fact in pool}
    for number, document in enumerate([*examples, *questions]):
        assert document["gold"] == (number + 1) % 2
        assert (document["statement"] in true) == bool(document["gold"])


def test_what_should_come_next_begins_with_a_space_unless_the_prompt_ends_in_one() -> None:
    ends = Fact(fact_id="1", subject=None, relation=None, prompt="Town A is in ", target="Oslo")
    assert [document["continuation"] for document in pool_tasks.recall_documents([*facts("Oslo"), ends])] == [
        " Oslo",
        "Oslo",
    ]


def test_a_pool_fits_from_four_different_answers() -> None:
    assert unfit(facts("a", "b", "c", "d", "a")) is None
    assert "3 different answers" in str(unfit(facts("a", "b", "c", "A", "B")))


def test_a_hub_is_asked_for_the_pinned_revision_and_its_rows_become_the_same_documents(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    requests: list[Any] = []

    def load_dataset(*arguments: Any, **named: Any) -> list[dict[str, Any]]:
        requests.append((arguments, named))
        return [{"sentence": "moving ", "label": 1, "idx": 0}]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.delenv("ERRATA_OFFLINE", raising=False)
    task_arguments = tasks.given(folder=None, pool=Path(), seed=0)
    task = harness.load(["sentiment"], published=False, extra_metadata=task_arguments, limit=None, seed=0).tasks[
        "sentiment"
    ]
    ((arguments, named),) = requests
    assert arguments == ("nyu-mll/glue", "sst2")
    assert named["split"] == "validation"
    assert len(named["revision"]) == 40
    (document,) = task.eval_docs
    assert (document["text"], document["label"]) == ("moving", "positive")
    assert document["source"] == f"nyu-mll/glue@{named['revision']}"


def test_without_a_network_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERRATA_OFFLINE", "1")
    arguments = tasks.given(folder=None, pool=Path(), seed=0)
    with pytest.raises(FileNotFoundError, match=r"google/boolq at [0-9a-f]{40}: .*abilities\.folder=<folder>"):
        harness.load(["closed_qa"], published=False, extra_metadata=arguments, limit=None, seed=0)
