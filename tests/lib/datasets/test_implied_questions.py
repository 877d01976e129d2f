"""KnowEdit's portability and its locality about the same subject, in both forms; their column where there is none."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lib.core.implied import ImpliedQuestion
from lib.core.params import Facts, Own
from lib.core.records import Request
from lib.core.tables import read, write
from lib.datasets import easyedit
from tests.helpers.datasets import dataset_preset

EDIT = {"subject": "Ada King", "prompt": "Ada King lives in", "target_new": "Bonn"}
ALIASES = {
    "portability": {
        "Subject_Aliasing": [{"prompt": "Countess Ada lives in", "ground_truth": [["Bonn", "City of Bonn"]]}],
        "reasoning": [
            {"prompt": "Ada King's mayor is", "ground_truth": [["Bo"], ["Cy", "Cyrus"]]},
            {"prompt": "Ada King's river is", "ground_truth": [[" "]]},
        ],
        "Novelty": [{"prompt": "x", "ground_truth": [["y"]]}],
    },
    "locality": {
        "Relation_Specificity": [{"prompt": "Ada King's trade is", "ground_truth": [["baker"]]}],
        "Forgetfulness": [{"prompt": "Ada King also lived in", "ground_truth": [["Ulm"]]}],
    },
}
FLATTENED = {
    "portability": {
        "Subject_Aliasing": {
            "prompt": ["Countess Ada lives in"] * 2,
            "ground_truth": ["Bonn", "City of Bonn"],
        },
        "reasoning": {
            "prompt": ["Ada King's mayor is"] * 3,
            "ground_truth": ["Bo", "Cy", "Cyrus"],
        },
    },
    "locality": {"Relation_Specificity": {"prompt": "Ada King's trade is", "ground_truth": "baker"}},
}


@pytest.mark.parametrize("questions", [ALIASES, FLATTENED])
def test_both_released_forms_give_the_same_questions_with_every_answer(
    questions: dict[str, Any], as_json: Callable[..., Path], facts: Facts, own: Own
) -> None:
    files = {"facts": as_json([EDIT | questions])}
    loaded = easyedit.load(files, facts, dataset_preset("easyedit", "accuracy"), own)
    assert loaded.rejects == []
    assert loaded.requests[0].implied == (
        ImpliedQuestion(kind="alias", prompt="Countess Ada lives in", answers=("Bonn", "City of Bonn")),
        ImpliedQuestion(kind="two_hops", prompt="Ada King's mayor is", answers=("Bo", "Cy", "Cyrus")),
        ImpliedQuestion(kind="same_subject", prompt="Ada King's trade is", answers=("baker",)),
    )


def test_questions_survive_a_table_whose_column_is_absent_where_no_edit_has_any(tmp_path: Path) -> None:
    question = ImpliedQuestion(kind="reversed", prompt="Who lives in Bonn?", answers=("Ada", "Al"), earlier="Bo")
    plain = Request(
        request_id="a", dataset="own", subject=None, relation=None, prompt="Ada lives in", template=None,
        target_new="Bonn", target_true=None,
    )  # fmt: skip
    for name, rows in (("with", [plain, replace(plain, implied=(question,))]), ("without", [plain])):
        write(tmp_path / name, Request, rows)
        assert read(tmp_path / name, Request) == rows
    assert "implied" in pq.read_schema(tmp_path / "with").names
    assert "implied" not in pq.read_schema(tmp_path / "without").names


def test_a_question_is_one_of_the_prompts_that_nothing_is_trained_on() -> None:
    question = ImpliedQuestion(kind="alias", prompt="Countess Ada lives in", answers=("Bonn",))
    request = Request(
        request_id="a", dataset="own", subject=None, relation=None, prompt="Ada lives in", template=None,
        target_new="Bonn", target_true=None, implied=(question,),
    )  # fmt: skip
    assert request.evaluation_prompts == ("Ada lives in", "Countess Ada lives in")
