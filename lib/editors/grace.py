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
from lib.models.architecture import architecture
from lib.models.check import packed_for
from lib.models.hooks import hooked
from lib.models.likelihood import token_nll
from lib.models.packing import Item, batches, side_by_side
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
    values = outputs.clone()
    for batch in batches(items, tokens):
        rows = torch.tensor(batch, device=values.device)
        values[rows] = _searched(model, [items[index] for index in batch], path, outputs[rows], settings, context)
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
    """Values [n, d_out] that make the new objects likely where they stand at the last tokens of the prompts.

    Every item has a row, or as many as its packing takes, of which the first has the prompt.
    """
    packings = [packed_for(model, [item]) for item in items]
    packed = side_by_side(packings)
    lengths = torch.tensor([len(packing.item) for packing in packings], device=model.device)
    rows = lengths.cumsum(0) - lengths
    ends = torch.tensor([len(item.prompt) - 1 for item in items], device=model.device)
    counts = torch.tensor([len(item.targets[0]) for item in items], device=model.device)
    values = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([values], lr=settings.lr)

    def say(module: torch.nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output.detach().index_put((rows, ends), values.to(output.dtype))

    with hooked(model.get_submodule(path), say), torch.enable_grad():
        for _ in context.progress(range(settings.steps)):
            nll = token_nll(model, packed)
            loss = (nll / counts[packed.owner]).sum()
            finite(loss.item())
            (values.grad,) = torch.autograd.grad(loss, [values])
            optimizer.step()
    return values.detach()
