"""The transcribed tables, and which of them stands beside a run."""

from statistics import harmonic_mean

import pytest

from lib.metrics import published
from lib.metrics.published import Table


@pytest.mark.parametrize("table", [*published.MASS.values(), *published.SINGLE.values()], ids=repr)
def test_every_published_score_is_the_harmonic_mean_of_its_row(table: Table) -> None:
    for result in table.results:
        assert result.score == pytest.approx(
            harmonic_mean([result.efficacy, result.generalization, result.locality]), abs=0.25
        )


@pytest.mark.parametrize(
    ("dataset", "protocol", "measure", "title"),
    [
        ("zsre", "mass", "token_accuracy", "ZsRE, GPT-J 6B"),
        ("counterfact", "single", "success", "CounterFact, GPT-2 XL"),
        ("wikirecent", "single", "success", "WikiRecent, GPT-J 6B"),
        ("world", "mass", "success", "CounterFact, GPT-J 6B"),
        ("own", "sequential", "token_accuracy", "ZsRE, GPT-J 6B"),
    ],
)
def test_a_run_stands_beside_its_own_dataset_or_the_one_that_is_measured_alike(
    dataset: str, protocol: str, measure: str, title: str
) -> None:
    table = published.table(dataset, protocol, measure)
    assert f"{table.dataset}, {table.model}" == title
