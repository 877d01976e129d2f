"""Where an adapter's A stands: the directions in which the inputs at the edits' subjects differ from ordinary ones.

LoRA draws A at random, so that the inner activation A x is as long at any token as at a subject, and what B learns
for the subjects is added everywhere. Here A is taken from the data and stays fixed. With k the inputs of a module at
the tokens of the subjects, P the whitening basis (whitening.py), and V_r the first r right singular vectors of
the rows P k,

    A = V_r^T P / mean |P k|                                                                    [r, d_in]

so that A k is about 1 long at a subject, and far shorter at the tokens of ordinary text. The update B A is then in the
span of k^T C^-1, as MEMIT's is (arXiv 2210.07229, equation 14), but B is trained by gradient descent. EVA (arXiv
2410.07170) takes A from the right singular vectors of the inputs of the fine-tuning data in the same way; that A may
stay fixed is LoRA-FA's finding (arXiv 2308.03303).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from lib.methods.training.forms import Form, subject_span
from lib.methods.training.inputs import See, read_inputs
from lib.models.packing import Item, Packed
from lib.models.tokens import prompt_ids


@dataclass(frozen=True, kw_only=True)
class Located:
    """A text as token ids, and the tokens in it whose inputs A is to tell from ordinary ones."""

    ids: tuple[int, ...]
    positions: tuple[int, ...]


def located_tokens(tokenizer: PreTrainedTokenizerBase, trained: Sequence[Form]) -> list[Located]:
    """Every form's prompt, and where its subject stands; the last token where it does not name it."""
    located = []
    for form in trained:
        ids = tuple(prompt_ids(tokenizer, form.prompt))
        first, end = subject_span(tokenizer, form.prompt, form.request.subject, len(ids)) or (len(ids) - 1, len(ids))
        located.append(Located(ids=ids, positions=tuple(range(first, end))))
    return located


def subject_directions(
    model: nn.Module, located: Sequence[Located], basis: Mapping[str, Tensor], rank: int, micro_batch_tokens: int,
    show: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> dict[str, Tensor]:  # fmt: skip
    """A [rank, d_in] float32 of every module that `basis` has, by its path; rows beyond the number of tokens are 0.

    Args:
        located: texts, and the tokens in each whose inputs A is to tell from others.
        basis: P [d_in, d_in] by path.
        show: passes the batches of texts on, and tells how far they are.
    """
    inputs = _inputs(model, located, list(basis), micro_batch_tokens, show)
    return {path: _leading(inputs[path], matrix, rank) for path, matrix in basis.items()}


def _inputs(
    model: nn.Module, located: Sequence[Located], paths: Sequence[str], micro_batch_tokens: int,
    show: Callable[[Iterable[Any]], Iterable[Any]],
) -> dict[str, Tensor]:  # fmt: skip
    """What goes into the modules at the located tokens: [tokens, d_in] float32, by path."""
    items = [Item(prompt=text.ids, targets=((0,),)) for text in located]
    rows: dict[str, list[Tensor]] = {path: [] for path in paths}
    longest = max(item.length for item in items)

    def at_located(packed: Packed, batch: Sequence[int]) -> See:
        wanted_positions = torch.zeros(len(batch), longest, dtype=torch.bool)
        for row, index in enumerate(batch):
            wanted_positions[row, list(located[index].positions)] = True
        inside = wanted_positions.to(packed.item.device)[packed.item.clamp(min=0), packed.position_ids]  # [b, t]
        inside &= packed.item >= 0
        return lambda path, inputs: rows[path].append(inputs[inside].float())

    read_inputs(model, items, paths, micro_batch_tokens, at_located, show)
    return {path: torch.cat(pieces) for path, pieces in rows.items()}


def _leading(keys: Tensor, basis: Tensor, rank: int) -> Tensor:
    """The first singular directions of keys [n, d_in] in `basis`: [rank, d_in]."""
    whitened = keys.double() @ basis.double().T
    _, _, directions = torch.linalg.svd(whitened, full_matrices=False)
    rows = directions[:rank] @ basis.double() / whitened.norm(dim=1).mean()
    return torch.cat([rows, rows.new_zeros(rank - len(rows), rows.shape[1])]).float()
