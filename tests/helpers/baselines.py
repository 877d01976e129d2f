"""What the tests of the baseline editors share: a context, requests, and what an editor may not leave behind."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from lib.core.editor_presets import editor_preset
from lib.core.params import Lora, Section, Train, section
from lib.core.records import Fact, Request
from lib.edits.apply import applied
from lib.edits.contexts import Contexts
from lib.edits.edit import Edit
from lib.methods.context import Context
from lib.methods.training.loop import Step
from lib.models.likelihood import score_targets
from lib.models.packing import pack
from lib.models.tokens import encode
from lib.runtime.distributed import Distributed

TINY = "llama-4-128"
"""The shape of the tiny model, as editors' presets know it."""
REQUESTS = [
    Request(
        request_id=f"edit{number}", dataset="own", subject=subject, relation="home", prompt=f"{subject} lives in",
        template="{} lives in", target_new=new, target_true=true,
    )
    for number, (subject, new, true) in enumerate(
        [("Ada", "Rome", "Oslo"), ("Bo Lund", "Lima", "Bern"), ("Cy", "Quito city", "Paris")]
    )
]  # fmt: skip


def context(pool: Sequence[Fact] = (), steps: list[Step] | None = None, micro_batch_tokens: int = 4096) -> Context:
    """A context of one process; training steps go to `steps`."""
    resolved = {"objective": "published", "after": 0.0, "keep": 0.0, "micro_batch_tokens": micro_batch_tokens}
    train = section("train", Train).model_copy(update=resolved)
    return Context(
        paraphrases=(),
        neighbors=(),
        lora=Lora(r=1, alpha=1.0, targets=["none"]),
        train=train,
        distributed=Distributed(),
        progress=lambda steps: steps,
        checkpoints=None,
        record=(steps if steps is not None else []).extend,
        pool=pool,
    )


def settings(editor: Any, name: str, **changed: Any) -> Any:
    """The editor's preset for the tiny model with some values changed, checked again."""
    kind: type[Section] = editor.Settings
    return kind.model_validate(editor_preset(name, TINY, kind).model_dump() | changed)


def nll(model: Any, tokenizer: Any, edit: Edit, requests: Sequence[Request]) -> torch.Tensor:
    """-log p of each request's new and true target under the edited model: [requests, 2]."""
    before = Contexts.of(edit, "cpu")
    prompts = [before(request.request_id, request.prompt) + request.prompt for request in requests]
    targets = [(request.target_new, str(request.target_true)) for request in requests]
    with applied(model, edit):
        return score_targets(model, pack(encode(tokenizer, prompts, targets))).nll.view(-1, 2)


@contextmanager
def nothing_left_behind(model: Any) -> Iterator[None]:
    """Fail where values, gradients, requires_grad, mode, hooks or random state differ afterwards."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    identity = {name: id(value) for name, value in model.named_parameters()}
    grad = {name: value.requires_grad for name, value in model.named_parameters()}
    training, random_states = model.training, _random_states()
    yield
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert {name: id(value) for name, value in model.named_parameters()} == identity
    assert {name: value.requires_grad for name, value in model.named_parameters()} == grad
    assert all(value.grad is None for value in model.parameters())
    assert model.training == training
    assert _random_states() == random_states
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def _random_states() -> tuple[Any, ...]:
    """Of torch on the CPU, Python and numpy."""
    state: Any = np.random.get_state()
    _, keys, position, *rest = state
    return torch.random.get_rng_state().tolist(), random.getstate(), keys.tolist(), position, *rest


def same(first: Edit, second: Edit, tolerance: float = 0.0) -> bool:
    """Whether two edits have the same updates and memories, to a relative L2 difference."""
    if first.updates.keys() != second.updates.keys() or (first.contexts, first.notes) != (
        second.contexts,
        second.notes,
    ):
        return False
    if first.memories.keys() != second.memories.keys():
        return False
    return all(
        (a.double() - b.double()).norm() <= tolerance * a.double().norm() if tolerance else torch.equal(a, b)
        for records, counterparts in ((first.updates, second.updates), (first.memories, second.memories))
        for path in records
        for a, b in zip(vars(records[path]).values(), vars(counterparts[path]).values(), strict=True)
    )  # fmt: skip
