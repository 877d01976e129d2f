"""The transcribed tables, and which of them stands beside a run."""

from statistics import harmonic_mean

import pytest

from lib.metrics import published
from lib.metrics.published import Table

SCORES = {
    "zsre-mass": "base 26.4/26.4/25.8/27.0, FT-W 42.1/69.6/64.8/24.1, MEND 20.0/19.4/18.6/22.4, "
    "ROME 2.6/21.0/19.6/0.9, MEMIT 50.7/96.7/89.7/26.6, FT 44.8/99.9/98.9/21.4, FT layer 21 42.9/99.9/87.4/20.5, "
    "FT+Mask 58.3/97.6/91.7/32.9, FT+Mask+Para 56.1/99.9/98.7/29.9, FT+Mask+Para+Rand 62.0/99.9/97.0/35.6",
    "counterfact-mass": "base 22.4/15.2/17.7/83.5, FT-W 67.6/99.4/77.0/46.9, MEND 23.1/15.7/18.5/83.0, "
    "ROME 50.3/50.2/50.4/50.2, MEMIT 85.8/98.9/88.6/73.7, FT 52.8/79.6/58.5/36.8, FT layer 21 60.5/99.9/63.3/42.0, "
    "FT+Mask 54.3/97.1/62.1/34.7, FT+Mask+Para 63.7/100/92.5/38.0, FT+Mask+Para+Rand 86.5/98.8/93.6/72.0, "
    "with DPO 85.5/98.8/93.4/70.1",
    "wikirecent-mass": "base 37.4/34.4/34.5/45.3, ROME 35.0/39.8/25.5/46.9, MEMIT 67.3/99.2/80.2/45.3, "
    "FT 55.8/68.1/60.4/44.5, FT+Mask+Para+Rand 68.5/99.6/84.6/45.8",
    "zsre-single": "base 22.5/22.2/21.3/24.2, FT 45.9/99.6/82.1/23.2, FT-L 40.1/92.3/47.2/23.4, "
    "KE 41.8/65.5/61.4/24.9, MEND 42.9/75.9/65.3/24.1, ROME 47.9/99.8/88.1/24.2, FT+Mask+Para+Sim 51.4/100/99.9/26.1",
    "counterfact-single": "base 30.5/22.2/24.7/78.1, FT 65.1/100/87.9/40.4, FT-L 66.9/99.1/48.7/70.3, "
    "KN 35.6/28.7/28.0/72.9, KE 52.2/84.3/75.4/30.9, MEND 57.9/99.1/65.4/37.9, ROME 89.2/100/96.4/75.4, "
    "FT+Mask+Para+Sim 83.1/98.6/87.3/69.0",
}
"""Transcribed a second time: score, efficacy, generalization, locality."""
NAMES = {"base": "unedited", "FT layer 21": "FT (21st layer)", "with DPO": "the same with DPO"}
TEXTS = (
    "base 622.4/29.4, FT-W 293.9/15.9, MEND 618.4/31.1, ROME 589.6/3.3, MEMIT 619.9/40.1, FT 626.1/31.0, "
    "FT+Mask 563.6/6.1, FT+Mask+Para 550.7/4.7, FT+Mask+Para+Rand 352.0/5.2"
)
WEIGHTS = {1: "9079.2/20.0/10.0", 5: "27072.2/49.2/28.9", 10: "52245.3/67.4/46.2", 15: "63247.5/72.8/52.2"}


def rows(text: str) -> dict[str, tuple[float, ...]]:
    """By the row's name its values, from `name a/b/c, ...`."""
    parts = [part.rpartition(" ") for part in text.split(", ")]
    return {
        NAMES.get(name, name.replace("+", " + ")): tuple(map(float, values.split("/"))) for name, _, values in parts
    }


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
        ("own", "mass", "token_accuracy", "ZsRE, GPT-J 6B"),
    ],
)
def test_a_run_stands_beside_its_own_dataset_or_the_one_that_is_measured_alike(
    dataset: str, protocol: str, measure: str, title: str
) -> None:
    table = published.table(dataset, protocol, measure)
    assert table is not None
    assert f"{table.dataset}, {table.model}" == title


def test_beside_edits_one_after_another_stands_no_published_table() -> None:
    assert published.table("zsre", "sequential", "token_accuracy") is None


@pytest.mark.parametrize("name", SCORES)
def test_scores_are_those_of_the_paper(name: str) -> None:
    expected = {row: (*values, score) for row, (score, *values) in rows(SCORES[name]).items()}
    assert published.named(name).values == expected


def test_fluency_and_consistency_are_those_of_the_paper_beside_its_scores() -> None:
    scores = {row: values[-1] for row, values in published.named("counterfact-mass").values.items()}
    expected = {row: (scores[row], *values) for row, values in rows(TEXTS).items()}
    assert published.named("texts").values == expected | {"the same with text": (84.8, 609.2, 29.2)}


def test_weight_changes_are_those_of_the_paper() -> None:
    expected = {str(edits): tuple(map(float, values.split("/"))) for edits, values in WEIGHTS.items()}
    assert published.named("weights").values == expected


def test_a_name_of_no_table_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"published: wanted one of .*found 'zsre'\. Did you mean 'zsre-mass'\?"):
        published.named("zsre")
