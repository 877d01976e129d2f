"""Causal tracing: which layers' MLPs bring a fact back when its subject is blurred (ROME, arXiv 2202.05262, section 2).

Noise on the embeddings of the subject's tokens makes the model forget a fact's object. In such passes the MLPs of a few
neighboring layers are given, at the subject's last token, what they gave without noise. By how much this raises the
object's probability is the indirect effect of the layer in their middle; where its mean over facts is largest, facts
are read from the MLP.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import InputError
from lib.core.records import Request
from lib.models.architecture import architecture, hidden_of, with_hidden
from lib.models.distributions import log_probabilities
from lib.models.hooks import hooked
from lib.models.tokens import encode_edits, tokens_within, with_offsets

_NEIGHBORS_SHARE = 0.2
"""`window` as the paper has it for GPT-2 XL: 10 of 48 layers."""


@dataclass(frozen=True, kw_only=True)
class Tracing:
    """How facts are traced; the paper's values for GPT-2 XL are noise 3, 10 samples and a window of 10."""

    noise: float
    """In standard deviations of the subjects' embeddings."""
    samples: int
    """Draws of noise for each fact."""
    window: int
    """Layers whose MLPs are restored together."""
    tokens: int
    """In a forward pass, at most: bounds memory."""
    seed: int


@dataclass(frozen=True, kw_only=True)
class Effects:
    """Means over facts and draws of the probability of a fact's object."""

    clean: float
    blurred: float
    restored: Sequence[float]
    """By the layer in the middle of the restored ones."""

    @property
    def layer(self) -> int:
        """That of the largest indirect effect."""
        return max(range(len(self.restored)), key=self.restored.__getitem__)


@dataclass(frozen=True, kw_only=True)
class _Fact:
    """A prompt and its object but for the last token, as ids; where its subject is, and what is predicted where."""

    ids: tuple[int, ...]
    first: int
    last: int
    """Places of the subject's first and last token."""
    predicting: tuple[int, ...]
    labels: tuple[int, ...]


def window_of(layers: int) -> int:
    """How many layers are restored together in a model of so many."""
    return max(1, round(_NEIGHBORS_SHARE * layers))


@torch.no_grad()
def effects(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    facts: Sequence[Request],
    how: Tracing,
    progress: Callable[[Iterable[Any]], Iterable[Any]],
) -> Effects:
    """The mean effects over `facts`, whose target_new is what the model says.

    Raises InputError where there is no fact, or one without its subject in the prompt.
    """
    if not facts:
        raise InputError("tracing: wanted facts that the model knows, with a subject; found none")
    encoded = [_encoded(tokenizer, fact) for fact in facts]
    noise = how.noise * _deviation(model, encoded)
    generator = torch.Generator().manual_seed(how.seed)
    traced = [_traced(model, fact, noise, how, generator) for fact in progress(encoded)]
    clean, blurred, restored = (torch.stack([fact[part] for fact in traced]).mean(0) for part in range(3))
    return Effects(clean=float(clean), blurred=float(blurred), restored=restored.tolist())


def _encoded(tokenizer: PreTrainedTokenizerBase, fact: Request) -> _Fact:
    start = fact.subject_start
    if start is None:
        raise InputError(
            f"fact {fact.request_id!r}: wanted its subject in the prompt {fact.prompt!r}, letter by letter"
        )
    (item,) = encode_edits(tokenizer, [fact])
    end = start + len(fact.subject or "")
    _, offsets = with_offsets(tokenizer, fact.prompt)
    inside = tokens_within(offsets, start, end)
    (target,) = item.targets
    return _Fact(
        ids=(*item.prompt, *target[:-1]),
        first=inside[0],
        last=min(inside[-1], len(item.prompt) - 1),
        predicting=tuple(range(len(item.prompt) - 1, len(item.prompt) + len(target) - 1)),
        labels=target,
    )


def _deviation(model: PreTrainedModel, facts: Sequence[_Fact]) -> float:
    """The standard deviation of all values of the subjects' token embeddings."""
    subjects = torch.tensor([[token] for fact in facts for token in fact.ids[fact.first : fact.last + 1]])
    return float(model.get_input_embeddings()(subjects.to(model.device)).float().std())


def _traced(
    model: PreTrainedModel, fact: _Fact, noise: float, how: Tracing, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """p of the object as it is [], with noise [], and by the layer that is restored [layers], means over the draws."""
    layers = architecture(model).layers(model)
    hidden = int(model.get_input_embeddings().weight.shape[1])
    draws = noise * torch.randn(how.samples, fact.last + 1 - fact.first, hidden, generator=generator)
    outputs: dict[int, Tensor] = {}
    with _changed(model, lambda layer, values: _kept(outputs, layer, values[0, fact.last])):
        clean = _probabilities(model, fact, 1)[0]
    middles = [-layers - how.window, *range(layers)]  # around the first there is no layer: nothing is restored
    rows = [(middle, draw) for middle in middles for draw in range(how.samples)]
    at_once = max(1, how.tokens // len(fact.ids))
    parts = [rows[start : start + at_once] for start in range(0, len(rows), at_once)]
    p = torch.cat([_probabilities_of(model, fact, part, draws, outputs, how.window) for part in parts])
    blurred, *restored = p.view(len(middles), how.samples).mean(1)
    return clean, blurred, torch.stack(restored)


def _kept(outputs: dict[int, Tensor], layer: int, values: Tensor) -> None:
    outputs[layer] = values.clone()


def _probabilities_of(
    model: PreTrainedModel, fact: _Fact, rows: Sequence[tuple[int, int]], draws: Tensor, outputs: dict[int, Tensor],
    window: int,
) -> Tensor:  # fmt: skip
    """p of the object in every row, which has a draw of noise, and the layers around a middle restored: [rows]."""
    middles = torch.tensor([middle for middle, _ in rows])
    added = draws[[draw for _, draw in rows]].to(model.device)

    def restore(layer: int, values: Tensor) -> None:
        first = middles - window // 2
        inside = ((layer >= first) & (layer < first + window)).nonzero()[:, 0].to(values.device)
        values[inside, fact.last] = outputs[layer]

    with _blurred(model.get_input_embeddings(), fact, added), _changed(model, restore):
        return _probabilities(model, fact, len(rows))


def _probabilities(model: PreTrainedModel, fact: _Fact, rows: int) -> Tensor:
    """p of all the object's tokens in each of `rows` passes of the same text: [rows] float32."""
    ids = torch.tensor([fact.ids], device=model.device).expand(rows, -1)
    states = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[:, list(fact.predicting)]
    log_p = log_probabilities(model.get_output_embeddings(), states)
    labels = torch.tensor(fact.labels, device=model.device).expand(rows, -1)
    p: Tensor = log_p.gather(2, labels[..., None])[..., 0].sum(1).exp().cpu()
    return p


def _blurred(embedding: nn.Module, fact: _Fact, added: Tensor) -> AbstractContextManager[None]:
    """Within it, `added` [rows, subject, d] lies on the embeddings of the subject's tokens."""

    def blur(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        values = output.clone()
        values[:, fact.first : fact.last + 1] += added.to(values.dtype)
        return values

    return hooked(embedding, blur)


@contextmanager
def _changed(model: PreTrainedModel, change: Callable[[int, Tensor], None]) -> Iterator[None]:
    """Within it, `change` gets every layer, and its MLP's output [rows, t, d], which it may write to."""
    paths = architecture(model)

    def hook(layer: int) -> Callable[..., Any]:
        def apply(module: nn.Module, inputs: Any, output: Any) -> Any:
            values = hidden_of(output).clone()
            change(layer, values)
            return with_hidden(output, values)

        return apply

    with ExitStack() as stack:
        for layer in range(paths.layers(model)):
            stack.enter_context(hooked(model.get_submodule(paths.mlp_of(layer)), hook(layer)))
        yield
