"""An edited model under the harness: what is in scope is edited, what is near a note is read after it."""

from typing import Any

import pytest
import torch
from lm_eval.api.instance import Instance

from lib.abilities.edited_model import EditedModel
from lib.abilities.harness import MemoryModel
from lib.edits.apply import applied
from lib.edits.edit import Edit
from lib.edits.in_force import EditInForce
from lib.edits.notes import Notebook, stated
from lib.edits.scope import Scope
from lib.edits.updates import Dense
from tests.helpers.models import byte_tokenizer, tiny_model

NEAR, FAR = "Oslo is the capital of", "A cat sat on the"
GENERATION = {"max_gen_toks": 5, "until": [], "do_sample": False}


def ask(kind: str, *arguments: Any) -> Instance:
    return Instance(request_type=kind, doc={}, arguments=arguments, idx=0, metadata=("task", 0, 1))


def answers(model: MemoryModel, *prompts: str) -> list[Any]:
    """Of each prompt: log p of a continuation, that of the prompt itself, and what the model writes after it."""
    return [
        (
            pytest.approx(model.loglikelihood([ask("loglikelihood", prompt, " Norway")])[0][0], rel=1e-5),
            pytest.approx(model.loglikelihood_rolling([ask("loglikelihood_rolling", prompt)])[0], rel=1e-5),
            model.generate_until([ask("generate_until", prompt, GENERATION)])[0],
        )
        for prompt in prompts
    ]


def edited(edit: Edit) -> EditedModel:
    model = tiny_model("llama")
    return EditedModel(model, byte_tokenizer(), 512, in_force=EditInForce.of(model, edit, "cpu"))


def test_prompts_and_texts_in_scope_are_answered_by_the_edited_model_and_others_by_the_unedited_one() -> None:
    weight = tiny_model("llama").get_submodule("model.layers.0.mlp.down_proj").weight
    delta = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    update = Edit(updates={"model.layers.0.mlp.down_proj": Dense(delta=delta)})
    scoped = Edit(updates=update.updates, scope=Scope(prompts={"1": [NEAR]}, encoder="hashing", threshold=0.9))
    unedited = MemoryModel(tiny_model("llama"), byte_tokenizer(), 512)
    with applied(unedited.model, update):
        near = answers(unedited, NEAR)
    assert near != answers(unedited, NEAR)
    assert answers(edited(scoped), NEAR, FAR) == [*near, *answers(unedited, FAR)]
    requests = [ask("loglikelihood", prompt, " Norway") for prompt in (FAR, NEAR, FAR)]
    assert [value for value, _ in edited(scoped).loglikelihood(requests)] == [
        answers(unedited, FAR)[0][0], near[0][0], answers(unedited, FAR)[0][0],
    ]  # fmt: skip


def test_a_note_stands_before_the_prompts_near_it_and_before_no_text() -> None:
    fact = "Oslo is the capital of Sweden"
    notes = Notebook(texts={"1": fact}, encoder="hashing", count=1, threshold=0.6)
    unedited = MemoryModel(tiny_model("llama"), byte_tokenizer(), 512)
    ((likelihood, _, written),) = answers(unedited, stated([fact]) + NEAR)
    ((_, of_text, _),) = answers(unedited, NEAR)
    noted = edited(Edit(updates={}, notes=notes))
    assert answers(noted, NEAR, FAR) == [(likelihood, of_text, written), *answers(unedited, FAR)]


def test_a_prompt_that_is_too_long_with_its_note_counts_as_truncated() -> None:
    prompt = "Oslo is the capital of" + " a" * 40  # 102 tokens of 128; the note has some 30
    notes = Notebook(texts={"1": "Oslo is the capital of Sweden"}, encoder="hashing", count=1, threshold=-1.0)
    noted, bare = edited(Edit(updates={}, notes=notes)), edited(Edit(updates={}))
    for model in (noted, bare):
        model.loglikelihood([ask("loglikelihood", prompt, " b")])
    assert (noted.was_truncated(prompt), bare.was_truncated(prompt)) == (True, False)
