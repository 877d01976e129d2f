"""GRACE: a memory of edits beside one module, no weight changed (arXiv 2211.11031).

An edit's key is what enters the module at the last token of its prompt; its value, in place of the module's output
there, is found by gradient descent on -log p of the new object, the mean over its tokens. A later input within a key's
deferral radius gets the key's value, any other what the module says. lib/edits/memory.py has the rule by which radii
grow and shrink as edits are added, and how a memory is applied.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import InputError
from lib.core.params import Auto, Section
from lib.core.records import Request
from lib.core.seeds import seed as seed_of
from lib.core.texts import identity
from lib.edits.edit import Edit
from lib.edits.memory import Memory, check_memory, remembered
from lib.methods.context import Context
from lib.methods.contract import Needs
from lib.methods.fine_tuning.loop import finite
from lib.methods.locating.places import Place, known_layers, states
from lib.methods.locating.search_passes import first_pass
from lib.methods.locating.search_rows import answer_rows
from lib.models.architecture import architecture
from lib.models.distributions import log_probabilities
from lib.models.packing import Item, batches
from lib.models.tokens import encode_edits

NEEDS = Needs(edit_each=True, seeded=True, weightless=True)


class Settings(Section):
    """configs/editors/grace.yaml"""

    projection: Literal["up", "down"] = Field(
        description="beside which projection of the MLP the memory stands: from the hidden size, or back to it"
    )
    layer: int | Auto = Field(description="of the module, counted from 0; auto: by depth")
    depth: float = Field(ge=0, lt=1, description="which layer auto takes: this share of the layers lies before it")
    radius: float = Field(gt=0, description="the deferral radius of a new key, Euclidean")
    scale: Literal["absolute", "relative"] = Field(
        description="absolute: one radius for all keys, as published; relative: that share of the key's own length"
    )
    steps: int = Field(ge=1, description="of Adam, for every value")
    lr: float = Field(gt=0, description="of Adam")
    start: Literal["cold", "warm"] = Field(
        description="where a value begins: cold, uniform in [0, 1), as published; warm, at what the module says"
    )


def edit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> Edit:
    """A memory of all requests, added one after another.

    Raises InputError where there is no request or no such layer, or a value is not finite; NotFiniteError where a loss
    is not.
    """
    path = module_path(model, settings)
    entries = _entries(model, tokenizer, requests, path, settings, context)
    memory = entries[0]
    for entry in entries[1:]:
        memory = remembered(memory, entry)
    info = {"editor": "grace", "pairs": len(requests), "keys": len(memory.keys)}
    return Edit(updates={}, memories={path: memory}, info=info)


def edit_each(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> list[Edit]:
    """`edit` of every request alone; forward passes are shared."""
    path = module_path(model, settings)
    return [
        Edit(updates={}, memories={path: entry}, info={"editor": "grace", "pairs": 1, "keys": 1})
        for entry in _entries(model, tokenizer, requests, path, settings, context)
    ]


def module_path(model: PreTrainedModel, settings: Settings) -> str:
    """The module that the memory stands beside. Raises InputError where the model has no such layer."""
    paths = architecture(model)
    layer = math.floor(settings.depth * paths.layers(model)) if settings.layer == "auto" else settings.layer
    (layer,) = known_layers(model, [layer])
    return paths.mlp_in_of(layer) if settings.projection == "up" else paths.mlp_out_of(layer)


def _entries(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request], path: str,
    settings: Settings, context: Context,
) -> list[Memory]:  # fmt: skip
    """Every request as a memory of one entry."""
    if not requests:
        raise InputError("grace: wanted at least one request, found none")
    items = encode_edits(tokenizer, requests)
    tokens = context.train.micro_batch_tokens
    ends = [Place(ids=item.prompt, position=len(item.prompt) - 1) for item in items]
    before = states(model, ends, [(path, "input"), (path, "output")], tokens)
    keys, outputs = before[path, "input"].clone(), before[path, "output"].clone()
    if settings.start == "cold":
        outputs = torch.stack([_uniform(request, context.train.seed, outputs[0]) for request in requests])
    values = _searched(model, items, path, outputs, settings, context)
    labels = torch.tensor([seed_of("grace", identity(request.target_new)) for request in requests])
    lengths = torch.linalg.vector_norm(keys, dim=1) if settings.scale == "relative" else torch.ones_like(keys[:, 0])
    memory = Memory(keys=keys, values=values, radii=settings.radius * lengths, labels=labels.to(keys.device))
    check_memory(path, memory)
    return [memory.entry(index) for index in range(len(requests))]


def _uniform(request: Request, seed: int, like: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(seed_of(seed, "grace", request.request_id))
    return torch.rand(like.shape, generator=generator).to(like)


def _searched(
    model: PreTrainedModel, items: Sequence[Item], path: str, start: Tensor, settings: Settings, context: Context
) -> Tensor:
    """Values [n, d_out] that make the new objects likely where they stand at the last tokens of the prompts."""
    cut = batches(items, context.train.micro_batch_tokens)
    values = start.clone()
    for number in context.progress(range(len(cut) * settings.steps)):
        batch, step = divmod(number, settings.steps)
        if step == 0:
            search = _Search(model, [items[index] for index in cut[batch]], path, start[cut[batch]], settings.lr)
        search.step()
        if step == settings.steps - 1:
            values[cut[batch]] = search.values.detach()
    return values


class _Search:
    """Adam on the values of some requests, each pass of which computes what they can change and nothing else."""

    def __init__(self, model: PreTrainedModel, items: Sequence[Item], path: str, start: Tensor, lr: float) -> None:
        first = first_pass(model, answer_rows(items, model.device), path, [])
        self._head, self._initial = model.get_output_embeddings(), first.initial
        with torch.no_grad():
            self._passes = first.checked(first.passes.final(torch.zeros_like(first.initial)))
        self.values = start.float().requires_grad_()  # [n, d_out]
        self._optimizer = torch.optim.Adam([self.values], lr=lr)

    def step(self) -> None:
        """One step down the mean -log p of each object's tokens. Raises NotFiniteError where that is not finite."""
        with torch.enable_grad():
            rows, final = self._passes.rows, self._passes.final(self.values - self._initial)
            log_p = log_probabilities(self._head, final)[torch.arange(len(rows.label)), rows.label]
            loss = -(log_p * rows.weight).sum()
            finite(loss.item())
            (self.values.grad,) = torch.autograd.grad(loss, [self.values])
        self._optimizer.step()
