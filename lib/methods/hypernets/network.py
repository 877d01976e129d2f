"""Hyper-networks that turn the gradient of an edit into an update: what the editors mend and ke share.

The gradient of a loss at the weight W of a linear module is the sum over tokens of delta x^T: x enters the module, and
delta is the loss's gradient at its output. A hyper-network maps these vectors, token by token, to others that are added
up in the same way. So an update is low-rank, and no matrix of W's size is ever computed on the way.

Shapes: b edits, t tokens of an edit, r rank (terms of an update).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import InputError, NotFiniteError
from lib.core.files import read_json, write_json
from lib.core.records import Request
from lib.edits.edit import Edit, compose
from lib.edits.updates import Dense, LowRank, check_finite
from lib.models.architecture import architecture
from lib.models.check import packed_for
from lib.models.likelihood import token_nll
from lib.models.packing import Item, Packed, batches, side_by_side
from lib.models.tokens import encode_edits
from lib.runtime.distributed import SINGLE_PROCESS, Distributed
from lib.runtime.tensors import load_tensors, save_tensors

WEIGHTS = "hypernet.safetensors"
INFO = "hypernet.json"


@dataclass(frozen=True, kw_only=True)
class Signals:
    """What the losses of several edits send through the chosen modules: an edit a row, float32."""

    items: Sequence[Item]
    """The edits: prompt and new target."""
    inputs: Mapping[str, Tensor]
    """x by module path: [b, t, d_in]."""
    gradients: Mapping[str, Tensor]
    """delta by module path: [b, t, d_out]; zero where no loss comes from, padding included."""


Updates = Mapping[str, LowRank]
"""By module path; left [b, d_out, r] and right [b, r, d_in], one update a row."""


class Network(nn.Module):
    """A network that updates are made by, for one model and certain modules of it."""

    paths: Sequence[str]
    """The modules that it updates."""


N = TypeVar("N", bound=Network)


class Hypernet(Network):
    """A network from signals to updates, every edit's by itself."""

    processes: Distributed = SINGLE_PROCESS
    """In training: those that make the updates of other edits of the same batch at the same time."""

    def forward(self, signals: Signals) -> Updates:
        """The update of every edit, each made from that edit's signals alone."""
        raise NotImplementedError

    def idle(self) -> None:
        """What a process without an edit of its own does, in training, while the others are in `forward`."""

    def groups(self, lr: float, rate_lr: float) -> list[dict[str, Any]]:
        """Its parameters as an optimizer takes them, with `lr`; those that are step sizes with `rate_lr`."""
        return [{"params": list(self.parameters()), "lr": lr}]


def edited_modules(model: PreTrainedModel, layers: int) -> list[str]:
    """Both projections of the MLP in each of the last `layers` layers, or in all where there are fewer."""
    paths, count = architecture(model), architecture(model).layers(model)
    last = range(max(0, count - layers), count)
    return [path for layer in last for path in (paths.mlp_in_of(layer), paths.mlp_out_of(layer))]


def signals_of(
    model: PreTrainedModel, items: Sequence[Item], paths: Sequence[str], weights: Sequence[float]
) -> Signals:
    """Signals of the sum over edits of weight times -log p of the new target's tokens.

    Raises NotFiniteError where a gradient is not finite.
    """
    packed = side_by_side([packed_for(model, [item]) for item in items])
    with torch.enable_grad(), _tapped(model, paths) as (inputs, outputs):
        nll = token_nll(model, packed)
        loss = (nll * nll.new_tensor(weights)[packed.owner]).sum()
        gradients = torch.autograd.grad(loss, [outputs[path] for path in paths])
    if not all(bool(gradient.isfinite().all()) for gradient in gradients):
        raise NotFiniteError("hyper-network: the gradient of an edit's loss is not finite")
    return Signals(
        items=items,
        inputs={path: inputs[path].float() for path in paths},
        gradients={path: gradient.float() for path, gradient in zip(paths, gradients, strict=True)},
    )


@contextmanager
def _tapped(model: nn.Module, paths: Sequence[str]) -> Iterator[tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """Within it, a forward pass leaves the input and the output of the modules, the latter as part of a graph."""
    inputs: dict[str, Tensor] = {}
    outputs: dict[str, Tensor] = {}

    def tap(path: str) -> Any:
        def keep(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
            inputs[path] = arguments[0].detach()
            outputs[path] = output if output.requires_grad else output.detach().requires_grad_()
            return outputs[path]

        return keep

    with ExitStack() as stack:
        for path in paths:
            handle = model.get_submodule(path).register_forward_hook(tap(path))
            stack.callback(handle.remove)
        yield inputs, outputs


def by_edit(updates: Updates) -> list[dict[str, LowRank]]:
    """The updates of every edit by itself, by module path."""
    count = len(next(iter(updates.values())).left)
    return [
        {path: LowRank(left=each.left[row], right=each.right[row]) for path, each in updates.items()}
        for row in range(count)
    ]


def together(packings: Sequence[Packed]) -> tuple[Packed, list[int]]:
    """Packings as one forward pass, and how many of its rows each of them has."""
    return side_by_side(packings), [len(packed.item) for packed in packings]


def new_targets(tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request]) -> list[Item]:
    """Prompt and new target of every request. Raises ValueError where there is no request."""
    if not requests:
        raise ValueError("hyper-network: wanted at least one request, found none")
    return encode_edits(tokenizer, requests)


def edit_together(
    model: PreTrainedModel, network: Hypernet, items: Sequence[Item], weights: Sequence[float], tokens: int
) -> Edit:
    """One edit: the sum of the updates of all items, `tokens` tokens at a time. Raises InputError as check_finite."""
    total = Edit(updates={})
    for part in _parts(model, network, items, weights, tokens):
        summed = {
            path: LowRank(left=each.left.transpose(0, 1).flatten(1), right=each.right.flatten(0, 1))
            for path, each in part.items()
        }
        total = compose(total, Edit(updates={path: _smaller(_used(each)) for path, each in summed.items()}))
    return _checked(total)


def edit_apart(
    model: PreTrainedModel, network: Hypernet, items: Sequence[Item], weights: Sequence[float], tokens: int
) -> list[Edit]:
    """An edit for every item. Raises InputError as check_finite."""
    edits = []
    for part in _parts(model, network, items, weights, tokens):
        for own in by_edit(part):
            edits.append(_checked(Edit(updates={path: _smaller(_used(update)) for path, update in own.items()})))
    return edits


def _parts(
    model: PreTrainedModel, network: Hypernet, items: Sequence[Item], weights: Sequence[float], tokens: int
) -> Iterator[Updates]:
    for indices in batches(items, tokens):
        signals = signals_of(model, [items[k] for k in indices], network.paths, [weights[k] for k in indices])
        with torch.no_grad():
            yield network(signals)


def _used(update: LowRank) -> LowRank:
    """Without the terms that are zero: tokens that no gradient reaches, and padding."""
    used = (update.left != 0).any(0) & (update.right != 0).any(1)
    return LowRank(left=update.left[:, used].contiguous(), right=update.right[used].contiguous())


def _smaller(update: LowRank) -> LowRank | Dense:
    return update if update.left.shape[1] < min(update.shape) else Dense(delta=update.dense())


def _checked(edit: Edit) -> Edit:
    for path, update in edit.updates.items():
        check_finite(path, update)
    return edit


def save_hypernet(folder: Path, network: Network, info: Mapping[str, Any]) -> None:
    """Write the network; a folder with hypernet.json is complete, since that is written last."""
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(
        {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}, folder / WEIGHTS
    )
    write_json(folder / INFO, info)


def load_hypernet(folder: Path | None, editor: str, network: N) -> N:
    """`network` with the weights in `folder`, frozen, in evaluation mode.

    Raises FileNotFoundError where nothing was trained for this editor, InputError where it was for other shapes.
    """
    stored_info = read_json(folder / INFO) if folder is not None and (folder / INFO).is_file() else {}
    if folder is None or stored_info.get("editor") != editor:
        raise FileNotFoundError(
            f"{folder}: wanted the trained hyper-network of editor {editor}, found {_trained_for(stored_info)}; "
            "run `dvc repro hypernet`"
        )
    if stored_info["modules"] != list(network.paths):
        raise InputError(
            f"{folder}: trained for the modules {', '.join(stored_info['modules'])}, "
            f"wanted {', '.join(network.paths)}; "
            "run `dvc repro hypernet` with this model and these layers"
        )
    _fill(network, load_tensors(folder / WEIGHTS), folder)
    return network.eval().requires_grad_(False)


def _fill(network: nn.Module, stored: Mapping[str, Tensor], folder: Path) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    actual = {name: tuple(tensor.shape) for name, tensor in stored.items()}
    if wrong := sorted(name for name in expected | actual if expected.get(name) != actual.get(name)):
        raise InputError(
            f"{folder / WEIGHTS}: {wrong[0]}: wanted shape {expected.get(wrong[0])}, found {actual.get(wrong[0])}; "
            "the preset of the editor or the model changed since it was trained: run `dvc repro hypernet`"
        )
    network.load_state_dict(dict(stored))


def _trained_for(info: Mapping[str, Any]) -> str:
    return f"that of {info['editor']}" if info.get("editor") else "none"
