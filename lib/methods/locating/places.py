"""Where in a model a fact sits: the token to read and write at, the contexts around a prompt, and the states there.

Locate-then-edit methods (ROME, arXiv 2202.05262; MEMIT, arXiv 2210.07229) read and write at the last token of the
subject, in the request's prompt by itself and behind sampled contexts; the released code also knows the last token of
the prompt.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import InputError
from lib.core.records import Request
from lib.core.texts import fill
from lib.models.architecture import architecture, hidden_of
from lib.models.hooks import Complete, hooked
from lib.models.tokens import tokens_within, with_offsets

Side = Literal["input", "output"]
Token = Literal["subject_last", "prompt_last"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """A prompt as token ids, and the position among them of the token to read and write at."""

    ids: tuple[int, ...]
    position: int


def place(tokenizer: PreTrainedTokenizerBase, request: Request, token: Token, context: str = "{}") -> Place:
    """The request's prompt put into `context` at its {}.

    Raises InputError naming the request where it has no subject, or its prompt does not hold it literally.
    """
    prompt = fill(context, request.prompt)
    end = context.index("{}") + _subject_start(request) + len(request.subject or "")
    return located(tokenizer, prompt, end, token)


def located(tokenizer: PreTrainedTokenizerBase, text: str, subject_end: int, token: Token) -> Place:
    """`text` as tokens, and the last token that begins before character `subject_end`, or the last of all."""
    ids, offsets = with_offsets(tokenizer, text)
    end = subject_end if token == "subject_last" else len(text)
    return Place(ids=tuple(ids), position=tokens_within(offsets, 0, end)[-1])


def _subject_start(request: Request) -> int:
    """Where the subject begins in the prompt (Request.subject_start)."""
    where = f"edit {request.request_id!r}, prompt {request.prompt!r}"
    if not request.subject:
        raise InputError(f"{where}: this editor needs the subject; the request has none (column subject)")
    if (start := request.subject_start) is None:
        raise InputError(f"{where}: wanted the subject {request.subject!r} in the prompt, letter by letter")
    return start


@torch.inference_mode()
def states(
    model: PreTrainedModel, locations: Sequence[Place], parts: Sequence[tuple[str, Side]], tokens: int
) -> dict[tuple[str, Side], Tensor]:
    """What goes into or comes out of modules at every place's position: [places, d] float32 for each of `parts`.

    Forward passes hold at most `tokens` tokens, and end where the last of the modules has computed.
    """
    collected: dict[tuple[str, Side], list[Tensor]] = {part: [] for part in parts}
    for batch in _batches(locations, tokens):
        ids, mask = padded([location.ids for location in batch], model.device)
        at = torch.tensor([location.position for location in batch], device=model.device)
        rows = torch.arange(len(at), device=at.device)
        remaining = {*parts}

        def keep(part: tuple[str, Side], values: Tensor, remaining: set[tuple[str, Side]] = remaining,
                 cells: tuple[Tensor, Tensor] = (rows, at)) -> None:  # fmt: skip
            collected[part].append(values[cells].float())
            remaining.discard(part)
            if not remaining:
                raise Complete

        with suppress(Complete), ExitStack() as stack:
            for part in parts:
                stack.enter_context(reading(model.get_submodule(part[0]), part, keep))
            model.base_model(input_ids=ids, attention_mask=mask, use_cache=False)
    return {part: torch.cat(pieces) for part, pieces in collected.items()}


def reading(
    module: nn.Module, part: tuple[str, Side], keep: Callable[[tuple[str, Side], Tensor], None]
) -> AbstractContextManager[None]:
    """Within it, `keep` gets what goes into or comes out of the module in every pass."""

    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        keep(part, inputs[0] if part[1] == "input" else hidden_of(output))

    return hooked(module, hook)


def _batches(locations: Sequence[Place], tokens: int) -> Iterator[Sequence[Place]]:
    """Places in order, as many together as have `tokens` tokens after padding, at least one."""
    batch: list[Place] = []
    longest = 0
    for location in locations:
        longest = max(longest, len(location.ids))
        if batch and longest * (len(batch) + 1) > tokens:
            yield batch
            batch, longest = [], len(location.ids)
        batch.append(location)
    if batch:
        yield batch


def known_layers(model: PreTrainedModel, layers: Sequence[int]) -> list[int]:
    """`layers`, ascending. Raises InputError where there is none, or the model does not have one of them."""
    count = architecture(model).layers(model)
    if wrong := [layer for layer in layers if not 0 <= layer < count]:
        raise InputError(f"layers: the model has layers 0 to {count - 1}, found {wrong[0]}")
    if not layers:
        raise InputError("layers: wanted at least one layer, or auto; found none")
    return sorted({*layers})


def padded(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask [b, t], padded on the right with zeros."""
    t = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (t - len(row))] for row in rows], device=device)
    mask = torch.tensor([[1] * len(row) + [0] * (t - len(row)) for row in rows], device=device)
    return ids, mask
