"""The facts that a checkpoint holds already: noted beside its weights, and held by who edits it again."""

from dataclasses import replace
from pathlib import Path

from apps.living import with_rephrasings
from lib.core.root import read_root
from lib.edits.edited_facts import edited_facts, write_edited_facts
from lib.protocols.files import Inputs
from lib.protocols.inputs import editing
from lib.runtime.distributed import Distributed
from tests.helpers import small

HELD = replace(
    small.REQUESTS[0], request_id="before", paraphrases=("Ada's place of birth is",),
    train_paraphrases=("Ada came into the world in", "Ada's place of birth is"), subject="Ada",
    prompt="Ada was born in", template=None,
)  # fmt: skip


def test_a_model_that_nobody_noted_anything_about_has_no_edited_facts(tmp_path: Path) -> None:
    assert edited_facts(small.inputs(tmp_path)["model"]) == []


def test_who_edits_an_edited_model_is_given_its_facts_and_their_other_words(tmp_path: Path) -> None:
    inputs = {name: path for name, path in small.inputs(tmp_path).items() if name != "evaluation"}
    write_edited_facts(inputs["model"], [HELD])
    assert edited_facts(inputs["model"]) == [HELD]
    with editing(read_root(), Inputs(**inputs), "test", Distributed(), lambda steps: None) as (job, requests):
        of_batch = job.context.of(requests[1:2], requests[:1])
        assert [row.request_id for row in of_batch.earlier.requests] == ["before", requests[0].request_id]
        assert [row.text for row in job.context.earlier.paraphrases] == [*HELD.train_paraphrases]


def test_an_edited_fact_is_held_in_other_words_but_for_those_that_it_is_scored_in() -> None:
    scored = replace(HELD, paraphrases=("Ada's place of birth is", "Ada came into the world in"))
    (texts,) = with_rephrasings([scored])
    assert "The birthplace of Ada is" in texts.train_paraphrases
    assert not {"Ada's place of birth is", "Ada came into the world in"} & {*texts.train_paraphrases}
