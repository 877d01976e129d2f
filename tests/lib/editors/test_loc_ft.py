"""Editor loc_ft: what is trained on, and in which order, against a plain training loop."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch

from lib.editors import loc_ft
from lib.edits.edit import Edit
from lib.edits.updates import Dense, LowRank
from lib.methods.training.loop import Step
from lib.models.architecture import architecture
from lib.models.tokens import encode_edits
from tests.helpers.baselines import REQUESTS, context, nothing_left_behind, same, settings
from tests.helpers.models import byte_tokenizer, tiny_model

SHORT = {"layers": [1], "lr": 1e-2, "epochs": 3, "min_loss": 0.0}


def how(**changed: Any) -> Any:
    return settings(loc_ft, "loc_ft", **SHORT | changed)


def trained_by_hand(batches: list[list[int]], restart: bool) -> torch.Tensor:
    """What Adam adds to the down projection of layer 1 over these batches of requests, the end of the text behind each.

    With `restart` every batch is three steps by an optimizer of its own.
    """
    model, tokenizer = copy.deepcopy(tiny_model("llama")), byte_tokenizer()
    weight = model.get_submodule(architecture(model).mlp_out_of(1)).weight.requires_grad_()
    before = weight.detach().clone()
    optimizer = torch.optim.Adam([weight], lr=1e-2)
    for batch in batches:
        if restart:
            optimizer = torch.optim.Adam([weight], lr=1e-2)
        for _ in range(3 if restart else 1):
            losses = []
            for item in (encode_edits(tokenizer, REQUESTS)[index] for index in batch):
                target = torch.tensor([*item.targets[0], tokenizer.eos_token_id])
                logits = model(torch.tensor([[*item.prompt, *target[:-1]]])).logits[0, len(item.prompt) - 1 :]
                losses.append(torch.nn.functional.cross_entropy(logits, target))
            optimizer.zero_grad()
            torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    added: torch.Tensor = weight.detach() - before
    return added


def delta(edit: Edit) -> torch.Tensor:
    (update,) = edit.updates.values()
    assert isinstance(update, Dense | LowRank)
    return update.dense()


def test_breadth_first_is_epochs_over_all_requests_with_the_end_behind_each() -> None:
    edit = loc_ft.edit(tiny_model("llama"), byte_tokenizer(), REQUESTS, how(batch_size=3), context())
    torch.testing.assert_close(delta(edit), trained_by_hand([[0, 1, 2]] * 3, restart=False), atol=2e-4, rtol=1e-2)
    assert edit.info["steps"] == 3


def test_depth_first_trains_a_request_to_its_end_before_the_next() -> None:
    steps: list[Step] = []
    edit = loc_ft.edit(
        tiny_model("llama"), byte_tokenizer(), REQUESTS, how(order="depth", batch_size=1), context(steps=steps)
    )  # fmt: skip
    torch.testing.assert_close(delta(edit), trained_by_hand([[0], [1], [2]], restart=True), atol=2e-4, rtol=1e-2)
    assert [step.step for step in steps] == list(range(9))


def test_epochs_take_the_requests_in_orders_of_their_own_by_the_seed() -> None:
    curves = []
    for seed in (0, 0, 1):
        steps: list[Step] = []
        shared = context(steps=steps)
        own_context = replace(shared, train=shared.train.model_copy(update={"seed": seed}))
        loc_ft.edit(tiny_model("llama"), byte_tokenizer(), REQUESTS, how(batch_size=1), own_context)
        curves.append([step.loss for step in steps])
    assert curves[0] == curves[1] != curves[2]


@pytest.mark.parametrize("end_token", [True, False])
def test_the_end_of_the_text_is_likelier_after_the_object_where_it_is_trained(end_token: bool) -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    items = loc_ft._items(tokenizer, REQUESTS[:1], how(end_token=end_token))
    assert (items[0].targets[0][-1] == tokenizer.eos_token_id) == end_token
    with nothing_left_behind(model):
        together = loc_ft.edit_each(model, tokenizer, REQUESTS, how(end_token=end_token), context())
    for request, edit in zip(REQUESTS, together, strict=True):
        alone = loc_ft.edit(model, tokenizer, [request], how(end_token=end_token), context())
        assert same(alone, edit, tolerance=1e-3)


def test_in_the_chat_template_the_prompt_is_the_users_message() -> None:
    tokenizer = copy.deepcopy(byte_tokenizer())
    tokenizer.chat_template = "{% for m in messages %}<{{ m.content }}>{% endfor %}"
    (item,) = loc_ft._items(tokenizer, REQUESTS[:1], how(chat=True))
    assert tokenizer.decode(item.prompt).endswith("<Ada lives in>")
    assert item.targets[0][-1] == tokenizer.eos_token_id
