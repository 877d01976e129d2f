"""In which form a merged edit is stored: the smallest in which the merged weights say what the adapter says.

An adapter runs beside the weights in full; merged, an update smaller than half the spacing of bfloat16 at a weight is
gone. So every form is read back from the disk and scored on the edited prompts, in float32, beside the adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from lib.core.records import Request
from lib.edits.apply import applied
from lib.edits.edit import Edit
from lib.export.merge import Complete, StoredForm, as_stored, check_new, merged, stored_model, written
from lib.models.cached import plain_nll
from lib.models.loading import load_tokenizer, read_model
from lib.models.manifest import weights_folder
from lib.models.tokens import encode

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TOLERANCE = 0.1
"""Nats by which the negative log-likelihood of an edit's objects may differ from the adapter's, in the mean."""
AUTO = "auto"
DTYPES = (AUTO, "float32", "bfloat16", "float16")
_SEED = 0


@dataclass(frozen=True, kw_only=True)
class Likelihoods:
    """What a model says of the edited prompts: -log p, in nats, summed over a target's tokens."""

    new: tuple[float, ...]
    true: tuple[float | None, ...]
    """None where an edit has no true object."""

    def means(self) -> tuple[float, float | None]:
        """Over the edits; over those that have a true object."""
        true = [value for value in self.true if value is not None]
        return sum(self.new) / len(self.new), sum(true) / len(true) if true else None

    def difference(self, reference: Likelihoods) -> float:
        """The larger one of the mean absolute differences from `reference` of the new and of the true objects."""
        new = [abs(a - b) for a, b in zip(self.new, reference.new, strict=True)]
        true = [
            abs(a - b) for a, b in zip(self.true, reference.true, strict=True) if a is not None and b is not None
        ]  # fmt: skip
        return max(sum(new) / len(new), sum(true) / len(true) if true else 0.0)


def export(
    base: Path, edit: Edit, folder: Path, dtype: str, requests: Sequence[Request], tell: Callable[[str], None],
    complete: Complete = as_stored,
) -> StoredForm:  # fmt: skip
    """Write the model of `base` with `edit` merged to `folder`, and return the form in which it is stored.

    Args:
        dtype: `auto` is the stored one, rounded to nearest or else stochastically, where the edit survives that, and
            float32 otherwise; a name is that dtype, the better one of the two roundings.
        requests: the edits that are scored; without any nothing is measured, and `auto` is float32.
        tell: takes each line of the comparison.
        complete: adds to the folder what others want in it, before it is scored.

    Raises InputError as `lib.export.merge.written` does.
    """
    check_new(folder)
    model = stored_model(base)
    merged(model, edit)  # what cannot be merged is said before anything is measured
    forms = _forms(model.dtype, dtype, bool(requests))
    del model
    if not requests:
        tell(f"nothing to score the merged weights on; stored in {forms[0]}")
        return _write(base, edit, folder, forms[0], complete)
    tokenizer = load_tokenizer(base)
    adapter = _adapter(base, tokenizer, edit, requests)
    tell(f"mean -log p in nats over {len(requests)} edited prompts, computed in float32:")
    tell(_line("the edit beside the weights", adapter))
    differences: dict[StoredForm, float] = {}
    for form in forms:
        try:
            with written(stored_model(base), edit, base, folder, form, complete) as unfinished:
                likelihoods = _scored(read_model(unfinished, torch.float32), tokenizer, requests)
                differences[form] = likelihoods.difference(adapter)
                tell(_line(f"merged, {form}", likelihoods, differences[form]))
                if differences[form] > TOLERANCE:
                    raise _TooFarError
        except _TooFarError:
            continue
        return form
    best = min(forms, key=differences.__getitem__)
    tell(f"with --dtype {dtype} none is within {TOLERANCE} nats; the nearest is stored. --dtype float32 keeps the edit")
    return _write(base, edit, folder, best, complete)


class _TooFarError(Exception):
    """The merged weights do not say what the adapter says."""


def _forms(stored: torch.dtype, dtype: str, is_measured: bool) -> list[StoredForm]:
    """The forms to try, in order."""
    target_dtype = stored if dtype == AUTO else getattr(torch, dtype)
    roundings = (
        [StoredForm(dtype=target_dtype)]
        if target_dtype == torch.float32
        else [StoredForm(dtype=target_dtype), StoredForm(dtype=target_dtype, seed=_SEED)]
    )
    if dtype != AUTO or target_dtype == torch.float32:
        return roundings
    return [*roundings, StoredForm(dtype=torch.float32)] if is_measured else [StoredForm(dtype=torch.float32)]


def _write(base: Path, edit: Edit, folder: Path, form: StoredForm, complete: Complete) -> StoredForm:
    with written(stored_model(base), edit, base, folder, form, complete):
        return form


def _adapter(base: Path, tokenizer: PreTrainedTokenizerBase, edit: Edit, requests: Sequence[Request]) -> Likelihoods:
    """What the edit beside, or added to, float32 weights says."""
    model = read_model(weights_folder(base), torch.float32)
    with applied(model, edit):
        return _scored(model, tokenizer, requests)


@torch.inference_mode()
def _scored(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request]) -> Likelihoods:
    """-log p of new and true object after each prompt, by a plain forward pass a pair."""
    new, true = [], []
    for request in requests:
        targets = [target for target in (request.target_new, request.target_true) if target is not None]
        (item,) = encode(tokenizer, [request.prompt], [targets], [request.separator])
        values = [float(plain_nll(model, [(item.prompt, target)])[0].sum()) for target in item.targets]
        new.append(values[0])
        true.append(values[1] if len(values) > 1 else None)
    return Likelihoods(new=tuple(new), true=tuple(true))


def _line(label: str, likelihoods: Likelihoods, difference: float | None = None) -> str:
    new, true = likelihoods.means()
    columns = f"  {label:<44} new {new:6.2f}   true {'     -' if true is None else f'{true:6.2f}'}"
    if difference is None:
        return columns
    return f"{columns}   {difference:.2f} off{': not kept' if difference > TOLERANCE else ''}"
