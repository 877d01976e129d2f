"""KE: the gradient of an edit, gated by networks that read the edit (arXiv 2104.08164, section 3.3).

A bidirectional LSTM over the tokens of prompt and new target gives a condition; from it a small network of every matrix
makes vectors and a gate, and the update is

    dW = max_scale * sigmoid(gate) * (grad * (softmax(a) b^T) + softmax(c) d^T)

where * is elementwise and the softmax runs along the first axis of W as the model stores it. Since grad is a sum of
outer products, so is dW. Several requests: the sum of every request's own update, all from the model as given.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.records import Fact, Request
from lib.edits.apply import shape_of
from lib.edits.edit import Edit
from lib.edits.updates import LowRank
from lib.methods.context import Context
from lib.methods.contract import Needs
from lib.methods.hypernets.learning import Learning, learn
from lib.methods.hypernets.network import (
    Hypernet,
    Signals,
    Updates,
    edit_apart,
    edit_together,
    edited_modules,
    load_hypernet,
    new_targets,
)
from lib.models.packing import Item

NEEDS = Needs(hypernet=True, edit_each=True)


class Settings(Learning):
    """configs/editors/ke.yaml"""

    hidden: int = Field(ge=1, description="size of the LSTM's state in each direction, and of the matrices' networks")
    condition: int = Field(ge=1, description="size of the condition")
    max_scale: float = Field(gt=0, description="largest factor of an update")


def edit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> Edit:
    """The sum of the updates of all requests.

    Raises FileNotFoundError where no network was trained, InputError where it does not fit model or preset or an update
    is not finite, NotFiniteError where a gradient is not.
    """
    network = load_hypernet(context.hypernet, "ke", new_network(model, settings))
    items = new_targets(tokenizer, requests)
    summed = edit_together(model, network, items, _weights(items), context.train.micro_batch_tokens)
    return Edit(updates=summed.updates, info={"editor": "ke", "pairs": len(items)})


def edit_each(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> list[Edit]:
    """`edit` of every request alone; forward passes are shared."""
    network = load_hypernet(context.hypernet, "ke", new_network(model, settings))
    items = new_targets(tokenizer, requests)
    edits = edit_apart(model, network, items, _weights(items), context.train.micro_batch_tokens)
    return [Edit(updates=each.updates, info={"editor": "ke", "pairs": 1}) for each in edits]


def train_hypernet(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pool: Sequence[Fact],
    settings: Settings,
    context: Context,
    folder: Path,
) -> dict[str, float]:
    """Train the network on `pool` and write it to `folder`; returns figures of the training."""
    return learn("ke", new_network(model, settings), model, tokenizer, pool, settings, context, folder)


def new_network(model: PreTrainedModel, settings: Settings) -> "KeNetwork":
    """The untrained network, on the model's device; settings.seed draws it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return KeNetwork(model, settings).to(model.device)


def _weights(items: Sequence[Item]) -> list[float]:
    """The loss of an edit is the mean over its target's tokens."""
    return [1 / len(item.targets[0]) for item in items]


class KeNetwork(Hypernet):
    """KE's condition and the gates of all matrices."""

    def __init__(self, model: PreTrainedModel, settings: Settings) -> None:
        super().__init__()
        self.paths = edited_modules(model, settings.layers)
        modules = [model.get_submodule(path) for path in self.paths]
        self.condition = _Condition(model.get_input_embeddings().weight, settings)
        self.gates = nn.ModuleList(
            _Gate(*shape_of(module), rows_are_outputs=isinstance(module, nn.Linear), settings=settings)
            for module in modules
        )

    def forward(self, signals: Signals) -> Updates:
        """The update of every edit; see Hypernet."""
        condition = self.condition(signals.items)  # [b, condition]
        return {
            path: gate(condition, signals.inputs[path], signals.gradients[path])
            for path, gate in zip(self.paths, self.gates, strict=True)
        }


class _Condition(nn.Module):
    """Edits -> [b, condition]; the embedding begins as the model's."""

    def __init__(self, embedding: Tensor, settings: Settings) -> None:
        super().__init__()
        vocabulary, d = embedding.shape
        self.embedding = nn.Embedding(vocabulary, d, _weight=embedding.detach().float().clone())
        self.lstm = nn.LSTM(d, settings.hidden, bidirectional=True, batch_first=True)
        self.linear = nn.Linear(2 * settings.hidden, settings.condition)

    def forward(self, items: Sequence[Item]) -> Tensor:
        where = self.embedding.weight.device
        ids = [torch.tensor(item.prompt + item.targets[0], device=where) for item in items]
        lengths = torch.tensor([len(row) for row in ids])
        vectors = self.embedding(pad_sequence(ids, batch_first=True))  # [b, t, d]
        packed = pack_padded_sequence(vectors, lengths, batch_first=True, enforce_sorted=False)
        _, (last, _) = self.lstm(packed)  # [2, b, hidden]: after the last token, and after the first backwards
        condition: Tensor = self.linear(torch.cat([last[0], last[1]], dim=-1)).tanh()
        return condition


class _Gate(nn.Module):
    """The condition and the signals of one matrix -> its update."""

    def __init__(self, d_out: int, d_in: int, *, rows_are_outputs: bool, settings: Settings) -> None:
        super().__init__()
        self.rows_are_outputs = rows_are_outputs
        self.max_scale = settings.max_scale
        rows, columns = (d_out, d_in) if rows_are_outputs else (d_in, d_out)
        self.sizes = [columns, rows, columns, rows, 1]
        self.first = weight_norm(nn.Linear(settings.condition, settings.hidden))
        self.second = weight_norm(nn.Linear(settings.hidden, sum(self.sizes)))

    def forward(self, condition: Tensor, x: Tensor, delta: Tensor) -> LowRank:
        outputs = self.second(self.first(condition).tanh())
        b, a, d, c, gate = outputs[:, None].split(self.sizes, dim=-1)  # each [b, 1, size]
        a, c = a.softmax(-1), c.softmax(-1)
        if not self.rows_are_outputs:
            a, b, c, d = b, a, d, c
        scale = self.max_scale * gate.sigmoid()  # the signs of b and d are learned
        left = torch.cat([scale * delta * a, scale * c], dim=1)  # [b, t + 1, d_out]
        return LowRank(left=left.mT, right=torch.cat([x * b, d], dim=1))
