"""Forward passes of a value search that compute what a shift can change, and nothing else.

A shift of a module's output at one token changes neither the tokens before it, in any layer, nor any layer below the
module's. So the first pass goes through the whole rows, and every later one (split_passes.py) starts at the module's
block, with the tokens from the shift on. A model that cannot be split so gets whole passes, and the log says which one
it is and why.
"""

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lib.methods.locating.places import Side, reading
from lib.methods.locating.search_rows import Rows
from lib.methods.locating.split_passes import Recorder, at_targets, cannot_split, shifted

_logger = logging.getLogger(__name__)
_SAME = {torch.float32: 1e-3, torch.float64: 1e-6}
_SAME_IN_HALF = 5e-2
"""How far, relative to the largest value, final hidden states of a split pass may be from those of a whole one."""


class Passes(Protocol):
    """Forward passes over the rows of the requests that are still searched."""

    @property
    def rows(self) -> Rows:
        """The rows of those requests."""

    def final(self, shift: Tensor) -> Tensor:
        """Final hidden states [k + n, d] at target tokens, then KL prompts, with the module's output shifted [n, d]."""

    def of(self, requests: Tensor) -> "Passes":
        """Narrow to the requests that are true in [n]."""


@dataclass(frozen=True, kw_only=True)
class Whole:
    """Every pass goes through all tokens of all rows and all layers."""

    model: PreTrainedModel
    module: nn.Module
    rows: Rows

    def through(self) -> Tensor:
        """Final hidden states [b, t, d]."""
        hidden: Tensor = self.model.base_model(
            input_ids=self.rows.ids, attention_mask=self.rows.mask, use_cache=False
        ).last_hidden_state
        return hidden

    def final(self, shift: Tensor) -> Tensor:
        """As `Passes`."""
        rows = self.rows
        with shifted(self.module, shift[rows.owner], rows.position):
            return _of_whole(rows, self.through())

    def of(self, requests: Tensor) -> "Whole":
        """As `Passes`."""
        return replace(self, rows=self.rows.of(requests)[0])


@dataclass(frozen=True, kw_only=True)
class First:
    """What the first pass, without a shift, leaves."""

    initial: Tensor  # [n, d] float32: the module's output at the position of each request's first row
    states: dict[tuple[str, Side], Tensor]  # [n * contexts, d] float32 at the rows' positions
    final: Tensor  # [k + n, d], as Passes.final
    whole_passes: Whole
    passes: Passes

    def checked(self, final: Tensor) -> Passes:
        """The passes to go on with: whole ones where `final`, without a shift, is not what the first pass found."""
        largest = self.final.abs().max()
        apart = float((final.detach() - self.final).abs().max() / largest.clamp(min=1e-30))
        # What is not finite shows in the loss.
        if self.passes is self.whole_passes or not largest.isfinite() or apart <= _SAME.get(final.dtype, _SAME_IN_HALF):
            return self.passes
        _tell(self.whole_passes.model, f"hidden states of a split pass differ by {apart:.1g} of the largest")
        return self.whole_passes


def first_pass(model: PreTrainedModel, rows: Rows, path: str, parts: Sequence[tuple[str, Side]]) -> First:
    """Go through all rows once; `parts` are further modules whose inputs or outputs are read on the way."""
    module = model.get_submodule(path)
    whole_passes = Whole(model=model, module=module, rows=rows)
    at = torch.arange(len(rows.position), device=rows.ids.device), rows.position
    collected: dict[tuple[str, Side], Tensor] = {}
    reason = cannot_split(model)
    passes: Passes = whole_passes
    with torch.no_grad(), ExitStack() as stack:
        for part in {*parts, (path, "output")}:
            stack.enter_context(
                reading(model.get_submodule(part[0]), part, lambda key, values: collected.update({key: values[at]}))
            )
        if reason is None:
            recorder = Recorder(model, path)
            hidden = recorder.through(rows)
            reason = recorder.missing()
            passes = whole_passes if reason else recorder.split(module, rows)
        else:
            hidden = whole_passes.through()
    if reason is not None:
        _tell(model, reason)
    is_context = torch.ones_like(rows.owner, dtype=torch.bool)
    is_context[rows.kl_row] = False
    is_first = torch.ones_like(is_context)
    is_first[1:] = rows.owner[1:] != rows.owner[:-1]
    return First(
        initial=collected[path, "output"][is_first].float(),
        states={part: collected[part][is_context].float() for part in parts},
        final=_of_whole(rows, hidden),
        whole_passes=whole_passes,
        passes=passes,
    )


def _of_whole(rows: Rows, hidden: Tensor) -> Tensor:
    return at_targets(rows, hidden, rows.target_position, rows.position[rows.kl_row])


def _tell(model: PreTrainedModel, reason: str) -> None:
    name = f"{type(model).__name__} (model_type {model.config.model_type!r})"
    _logger.warning("%s: value searches go through whole passes: %s", name, reason)
