"""The token rows of a value search: each request's contexts with its target, and its prompt of a KL term.

Shapes: b rows, t tokens a row, n requests, k target tokens over all rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from lib.core.records import Request
from lib.core.texts import fill
from lib.methods.locating.places import Token, located, padded, place
from lib.models.packing import Item
from lib.models.tokens import encode

_ESSENCE = "{} is a"


@dataclass(frozen=True, kw_only=True)
class Rows:
    """For each request a row a context, then the row of its KL prompt, which ends where its distribution is read."""

    ids: Tensor  # [b, t], padded on the right
    length: Tensor  # [b]
    position: Tensor  # [b]: of the token whose state is shifted
    owner: Tensor  # [b]: which request, ascending
    target_row: Tensor  # [k]: row, position and label of every target token, and 1 / (contexts * tokens of the target)
    target_position: Tensor  # [k]
    label: Tensor  # [k]
    weight: Tensor  # [k]
    kl_row: Tensor  # [n], or [0] without KL prompts
    as_placed: bool
    """Whether every context's tokens up to its position are those of the prompt tokenized without a target."""

    @property
    def mask(self) -> Tensor:
        """[b, t]: 1 where a row has a token, 0 where it is padded."""
        return (torch.arange(self.ids.shape[1], device=self.ids.device) < self.length[:, None]).long()

    @property
    def tail(self) -> int:
        """The most tokens of a row from the one on whose state is shifted."""
        return int((self.length - self.position).max())

    def of(self, requests: Tensor) -> tuple["Rows", Tensor]:
        """The rows of the requests that are true in `requests` [n], and their numbers among all [rows left]."""
        numbers = requests[self.owner].nonzero()[:, 0]
        row_number = torch.full_like(self.owner, -1)
        row_number[numbers] = torch.arange(len(numbers), device=numbers.device)
        request_number = requests.long().cumsum(0) - 1
        targets = requests[self.owner[self.target_row]]
        rows = Rows(
            ids=self.ids[numbers],
            length=self.length[numbers],
            position=self.position[numbers],
            owner=request_number[self.owner[numbers]],
            target_row=row_number[self.target_row[targets]],
            target_position=self.target_position[targets],
            label=self.label[targets],
            weight=self.weight[targets],
            kl_row=row_number[self.kl_row[requests]] if len(self.kl_row) else self.kl_row,
            as_placed=self.as_placed,
        )
        return rows, numbers


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One row as it is built."""

    ids: tuple[int, ...]
    position: int
    owner: int
    target: tuple[int, ...] = ()
    """Predicted after the row's last tokens; none in the row of a KL prompt."""
    is_as_placed: bool = True


def search_rows(
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    token: Token,
    contexts: Sequence[str],
    device: torch.device,
) -> Rows:
    """Raises InputError naming a request that cannot be placed (`places.place`)."""
    rows = [
        row
        for owner, request in enumerate(requests)
        for row in (
            *_context_rows(tokenizer, request, token, contexts, owner), _kl_row(tokenizer, request, token, owner),
        )
    ]  # fmt: skip
    return _side_by_side(rows, len(contexts), device)


def answer_rows(items: Sequence[Item], device: torch.device) -> Rows:
    """A row an item, its prompt with its one target; shifted is the prompt's last token. There are no KL prompts."""
    rows = [
        _Row(ids=(*item.prompt, *item.targets[0][:-1]), position=len(item.prompt) - 1, owner=owner,
             target=item.targets[0])
        for owner, item in enumerate(items)
    ]  # fmt: skip
    return _side_by_side(rows, 1, device)


def _side_by_side(rows: Sequence[_Row], contexts: int, device: torch.device) -> Rows:
    """All rows, where each request's target comes in so many contexts."""
    targets = [
        (number, len(row.ids) - len(row.target) + k, label, 1 / (contexts * len(row.target)))
        for number, row in enumerate(rows)
        for k, label in enumerate(row.target)
    ]
    target_row, target_position, labels, weights = zip(*targets, strict=True)
    ids, _ = padded([row.ids for row in rows], device)
    return Rows(
        ids=ids,
        length=torch.tensor([len(row.ids) for row in rows], device=device),
        position=torch.tensor([row.position for row in rows], device=device),
        owner=torch.tensor([row.owner for row in rows], device=device),
        target_row=torch.tensor(target_row, device=device),
        target_position=torch.tensor(target_position, device=device),
        label=torch.tensor(labels, device=device),
        weight=torch.tensor(weights, device=device),
        kl_row=torch.tensor(
            [number for number, row in enumerate(rows) if not row.target], dtype=torch.long, device=device
        ),
        as_placed=all(row.is_as_placed for row in rows),
    )


def _context_rows(
    tokenizer: PreTrainedTokenizerBase, request: Request, token: Token, contexts: Sequence[str], owner: int
) -> Iterator[_Row]:
    """The request's prompt with its target in every context."""
    prompts = [fill(context, request.prompt) for context in contexts]
    items = encode(tokenizer, prompts, [(request.target_new,)] * len(prompts), [request.separator] * len(prompts))
    for context, item in zip(contexts, items, strict=True):
        (target,) = item.targets
        ids = (*item.prompt, *target[:-1])
        alone = place(tokenizer, request, token, context)
        # A tokenizer that merges the prompt's last token with the target's first leaves the prompt one token less.
        position = min(alone.position, len(item.prompt) - 1)
        is_as_placed = position == alone.position and ids[: position + 1] == alone.ids[: position + 1]
        yield _Row(ids=ids, position=position, owner=owner, target=target, is_as_placed=is_as_placed)


def _kl_row(tokenizer: PreTrainedTokenizerBase, request: Request, token: Token, owner: int) -> _Row:
    """The request's prompt of the KL term, up to where its distribution is read."""
    subject = request.subject or ""
    essence = located(tokenizer, fill(_ESSENCE, subject), len(subject), token)
    return _Row(ids=essence.ids[: essence.position + 1], position=essence.position, owner=owner)
