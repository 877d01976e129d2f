"""The objective `held` on a tiny model: it learns the edits, and tells how far it is."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from lib.core.params import Held, Lora, Model, preset
from lib.core.records import Fact, Paraphrase
from lib.editors import lora
from lib.edits.apply import applied
from lib.edits.edit import Edit, compose
from lib.edits.updates import LowRank
from lib.methods.context import Context, Earlier
from lib.methods.training.held import held_plan
from lib.methods.training.loop import Checkpoints
from tests.helpers.baselines import REQUESTS, context, nll
from tests.helpers.models import TARGETS, byte_tokenizer, tiny_model

SETTINGS = lora.Settings.model_validate({"weight_decay": 0.0, "max_grad_norm": 1.0, "text_tokens": 16})
TEXTS = ["It rained all day in the town.", "The bakery near the river opens at six.", "Nobody saw the last train."]
INPUTS = 48
"""Of the adapted modules of the small model."""
POOL = [
    Fact(fact_id=name, subject=name, relation=None, prompt=f"{name} lives in", target="Pau", template="{} lives in")
    for name in ("Eve", "Finn", "Gus")
]  # fmt: skip


def held_context(**changed: Any) -> Context:
    """What the editor gets where SmolLM2's preset is taken for a model of two layers."""
    held = preset("models", "smollm2-135m", Model).train.held
    assert held is not None
    small = held.model_copy(update={"moment_texts": 3, "batch_size": 4, "questions": 0, "drift": 0.0})
    adapter = Lora(r=8, alpha=8.0, targets=TARGETS["llama"][-1:])
    train = context().train.model_copy(
        update={"objective": "held", "after": 1.0, "keep": 1.0, "epochs": 60, "lr": 0.5, "batch_size": 4}
    )
    values: dict[str, Any] = {
        "lora": adapter,
        "held": Held.model_validate(small),
        "train": train,
        "texts": TEXTS,
        "pool": POOL,
    }
    return replace(context(), **(values | changed))


def edited(of: Context) -> Edit:
    return lora.edit(tiny_model("llama"), byte_tokenizer(), REQUESTS, SETTINGS, of)


def test_the_edits_are_learned() -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    before, after = (nll(model, tokenizer, edit, REQUESTS) for edit in (Edit(updates={}), edited(held_context())))
    assert float(after[:, 0].sum()) < 0.5 * float(before[:, 0].sum())


def test_what_comes_before_the_first_step_tells_how_far_it_is() -> None:
    lengths: dict[str, int] = {}

    def show(items: Iterable[Any], name: str, total: int | None) -> Iterable[Any]:
        own = list(items)
        lengths[name] = len(own)
        assert total in (None, len(own))
        return own

    edited(held_context(show=show))
    module = TARGETS["llama"][-1]
    assert lengths.keys() == {"continuations", f"inputs of {module} at texts", f"inputs of {module} at subjects"}
    assert min(lengths.values()) > 0


@pytest.mark.parametrize(("pool", "warned"), [(POOL, 0), ([], 1)])
def test_edits_without_other_subjects_to_hold_say_so(
    pool: list[Fact], warned: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        edited(held_context(pool=pool))
    warnings = [message for message in caplog.messages if "no other subjects" in message]
    assert len(warnings) == warned


@pytest.mark.parametrize(
    ("subjects", "rank", "warned"), [(3, 12, 0), (5, 16, 0), (17, 17, 0), (INPUTS, INPUTS, 0), (INPUTS + 1, INPUTS, 1)]
)
def test_every_subject_has_a_direction_where_the_modules_have_as_many(
    subjects: int, rank: int, warned: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Four up to half of the small model's hidden size, which is 32; then one."""
    requests = [
        replace(REQUESTS[0], request_id=f"e{number}", subject=f"S{number}", prompt=f"S{number} is", template=None)
        for number in range(subjects)
    ]
    of_run = held_context()
    assert of_run.held is not None
    with caplog.at_level(logging.WARNING):
        plan = held_plan(tiny_model("llama"), byte_tokenizer(), requests, SETTINGS, of_run, of_run.held, ())
    assert {len(matrix) for matrix in plan.directions.values()} == {rank}
    assert sum("protocol.kind=sequential" in message for message in caplog.messages) == warned


@pytest.mark.parametrize(("own_rate", "rate"), [(False, 0.05), (True, 0.1)])
def test_crowded_subjects_are_trained_at_a_lower_rate_unless_one_is_set(own_rate: bool, rate: float) -> None:
    of_run = held_context(most_steps=120, own_rate=own_rate)
    assert of_run.held is not None
    recipe = of_run.held.model_copy(update={"lr": 0.1, "together": len(REQUESTS) / 2})
    of_run = replace(of_run, train=of_run.train.model_copy(update={"lr": recipe.lr}))
    plan = held_plan(tiny_model("llama"), byte_tokenizer(), REQUESTS, SETTINGS, of_run, recipe, ())
    assert plan.schedule.lr == pytest.approx(rate)


@contextmanager
def tokens_read(model: PreTrainedModel) -> Iterator[list[int]]:
    """How many tokens the model reads meanwhile, pass by pass, padding among them."""
    passes: list[int] = []
    handle = model.get_input_embeddings().register_forward_pre_hook(lambda _, ids: passes.append(ids[0].numel()))
    yield passes
    handle.remove()


def test_edits_each_alone_are_those_of_one_at_a_time_for_fewer_tokens() -> None:
    model, tokenizer, of_run = tiny_model("llama"), byte_tokenizer(), short_context()
    with tokens_read(model) as one_at_a_time:
        expected = [lora.edit(model, tokenizer, [request], SETTINGS, of_run.of([request])) for request in REQUESTS]
    with tokens_read(model) as each:
        edits = lora.edit_each(model, tokenizer, REQUESTS, SETTINGS, of_run)
    for edit, alone in zip(edits, expected, strict=True):
        torch.testing.assert_close(matrices(edit), matrices(alone), atol=1e-3, rtol=1e-2)
    assert sum(each) < 0.7 * sum(one_at_a_time)


def test_an_edit_made_alone_has_the_same_bytes_whichever_was_made_first() -> None:
    """A run that was killed begins with another edit."""
    model, tokenizer, of_run = tiny_model("llama"), byte_tokenizer(), short_context()
    second = lora.edit_each(model, tokenizer, REQUESTS, SETTINGS, of_run)[1]
    (resumed,) = lora.edit_each(model, tokenizer, REQUESTS[1:2], SETTINGS, of_run)
    assert all(torch.equal(matrix, matrices(resumed)[path]) for path, matrix in matrices(second).items())


def test_a_batch_holds_what_the_batches_before_it_have_learned() -> None:
    """Of the edit before, the batch that holds it takes less than half of what the one that does not takes."""
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    first, second = REQUESTS[:1], REQUESTS[1:]
    first_edit = lora.edit(model, tokenizer, first, SETTINGS, held_context())
    losses = {}
    for earlier in ((), first):
        of_second = held_context(pool=[], texts=TEXTS[:1], earlier=Earlier(requests=earlier))
        with applied(model, first_edit):
            added = lora.edit(model, tokenizer, second, SETTINGS, of_second)
        losses[len(earlier)] = float(nll(model, tokenizer, compose(first_edit, added), first)[0, 0])
    learned = float(nll(model, tokenizer, first_edit, first)[0, 0])
    assert losses[1] - learned < 0.5 * (losses[0] - learned)


def test_earlier_edits_are_held_in_other_words_and_never_in_a_prompt_that_is_evaluated() -> None:
    paraphrases = [
        Paraphrase(request_id="edit0", kind="given", text=text, seed=0) for text in ("Home of Ada:", "Where is Ada?")
    ]
    second = replace(REQUESTS[1], paraphrases=("Where is Ada?",))
    of_second = held_context(earlier=Earlier(requests=REQUESTS[:1], paraphrases=paraphrases))
    assert of_second.held is not None
    plan = held_plan(tiny_model("llama"), byte_tokenizer(), [second], SETTINGS, of_second, of_second.held, ())
    beside = [example.item for step in range(4) for example in plan.beside(step) if example.group == "earlier"]
    assert {byte_tokenizer().decode(item.prompt) for item in beside} == {"Ada lives in", "Home of Ada:"}
    assert {byte_tokenizer().decode(item.targets[0][:-1]).strip() for item in beside} == {"Rome"}


def matrices(edit: Edit) -> dict[str, torch.Tensor]:
    """What it adds to each module."""
    return {path: update.dense() for path, update in edit.updates.items() if isinstance(update, LowRank)}


def short_context(**changed: Any) -> Context:
    """One that trains for eight steps."""
    full = held_context()
    return replace(full, train=full.train.model_copy(update={"epochs": 8}), **changed)


def test_a_killed_run_goes_on_with_the_directions_that_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Singular vectors may come with other signs the second time."""
    uninterrupted = matrices(edited(short_context()))

    def killed(steps: Iterable[int]) -> Iterable[int]:
        for step in steps:
            if step == 5:
                raise KeyboardInterrupt
            yield step

    checkpoints = Checkpoints(folder=tmp_path, every=3)
    with pytest.raises(KeyboardInterrupt):
        edited(short_context(checkpoints=checkpoints, progress=killed))
    monkeypatch.setattr("lib.methods.training.held.subject_directions", lambda *_: pytest.fail("found a second time"))
    resumed = matrices(edited(short_context(checkpoints=checkpoints)))
    assert uninterrupted.keys() == resumed.keys() != set()
    assert all(torch.equal(matrix, resumed[path]) for path, matrix in uninterrupted.items())


def test_damaged_directions_are_found_anew(tmp_path: Path) -> None:
    context = short_context(checkpoints=Checkpoints(folder=tmp_path, every=1000))
    first = matrices(edited(context))
    path = tmp_path / "directions.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"oops")
    second = matrices(edited(context))
    assert all(torch.equal(matrix, second[path]) for path, matrix in first.items())
