"""The training pairs of conditional fine-tuning: edits E, paraphrases P, unedited facts R (arXiv 2402.11078)."""

import itertools
from array import array
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from lib.core.errors import InputError, writing
from lib.core.files import read_json, write_json
from lib.core.joins import Separator
from lib.core.records import Paraphrase, Request, UneditedFact
from lib.methods.training.example import Example
from lib.models.packing import Item
from lib.models.tokens import encode

Row = tuple[str, str, str | None, Separator | None]
_PART = 1_024
"""Rows tokenized at a time: bounds memory, not the result."""


def training_rows(
    requests: Sequence[Request], paraphrases: Iterable[Paraphrase], neighbors: Iterable[UneditedFact],
    rejected_of: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Row]:  # fmt: skip
    """(prompt, target, rejected, separator) of every edit, then of its paraphrases, then of its neighbors, in order.

    A paraphrase has the edit's targets, a neighbor its own; the rejected target is the edit's true object, for a
    neighbor what `rejected_of` has for its fact_id, else None.

    Raises InputError where a paraphrase or neighbor belongs to no edit: the files are not of the same run.
    """
    targets = {request.request_id: (request.target_new, request.target_true, request.separator) for request in requests}
    for request in requests:
        yield request.prompt, request.target_new, request.target_true, request.separator
    for paraphrase in paraphrases:
        _check_known(paraphrase, targets)
        yield paraphrase.text, *targets[paraphrase.request_id]
    for neighbor in neighbors:
        _check_known(neighbor, targets)
        yield neighbor.prompt, neighbor.target, rejected_of.get(neighbor.fact_id), None


def _check_known(row: Paraphrase | UneditedFact, edits: Container[str]) -> None:
    if row.request_id not in edits:
        raise InputError(
            f"a {type(row).__name__.lower()} of the request {row.request_id!r}, which is not among the requests: the "
            "files are of different runs (dvc repro makes them anew)"
        )


def training_items(tokenizer: Any, rows: Iterable[Row], mask_prompt: bool, rejected: bool) -> Iterator[Item]:
    """Every row as token ids, a part at a time; with its rejected target second, where that is asked for.

    Without `mask_prompt` the prompt is trained on as well.
    """
    rows = iter(rows)
    while part := list(itertools.islice(rows, _PART)):
        targets = [(new, true) if rejected and true else (new,) for _, new, true, _ in part]
        separators = [separator for *_, separator in part]
        for item in encode(tokenizer, [prompt for prompt, *_ in part], targets, separators):
            yield item if mask_prompt else unmasked(item)


def unmasked(item: Item) -> Item:
    """The item with its prompt trained on as well: every token after the first is a target token."""
    (target,) = item.targets
    return Item(prompt=item.prompt[:1], targets=((*item.prompt[1:], *target),))


def ended(item: Item, end: int) -> Item:
    """The item with the end of text, whose id is `end`, behind each of its targets."""
    return Item(prompt=item.prompt, targets=tuple((*target, end) for target in item.targets))


_TOKENS, _ENDS, _HELD, _COUNTS = "tokens.i32", "ends.i64", "held.i32", "pairs.json"
_PARTS = 3
"""Of an example: its prompt, its target, its rejected target, each the tokens from the end of the one before."""


def is_whole(folder: Path) -> bool:
    """Whether `write_examples` has come to its end there."""
    return (folder / _COUNTS).is_file()


def write_examples(folder: Path, examples: Iterable[Example]) -> None:
    """Write `examples` as they come, the counts last.

    Raises ValueError for what training pairs never are: plain text, more than two targets, or a target without a token.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = end = 0
    with (
        writing(folder),
        (folder / _TOKENS).open("wb") as tokens,
        (folder / _ENDS).open("wb") as ends,
        (folder / _HELD).open("wb") as held,
    ):
        for example in examples:
            lengths = [len(example.item.prompt), *map(len, example.item.targets)]
            if example.text or example.reference is not None or not 2 <= len(lengths) <= _PARTS or not all(lengths[1:]):
                raise ValueError(f"example {count}: wanted a prompt with one or two targets; found {example}")
            for part in (example.item.prompt, *example.item.targets):
                array("i", part).tofile(tokens)
            lengths += [0] * (_PARTS - len(lengths))
            array("i", (example.held_tokens,)).tofile(held)
            array("q", np.cumsum([end + lengths[0], *lengths[1:]]).tolist()).tofile(ends)
            count, end = count + 1, end + sum(lengths)
    write_json(folder / _COUNTS, {"examples": count, "tokens": end})


@dataclass(frozen=True, kw_only=True)
class StoredExamples(Sequence[Example]):
    """What was written, in the same order; an example is made when it is asked for."""

    tokens: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int64]  # [examples, 3]
    held: npt.NDArray[np.int32]  # [examples]: held tokens
    references: npt.NDArray[np.float64] | None = None
    """[examples, 2] as lib.methods.training.objective.references gives them."""

    @classmethod
    def of(cls, folder: Path) -> "StoredExamples":
        """Those in `folder`. Raises FileNotFoundError where none were written to the end."""
        counts = read_json(folder / _COUNTS)
        return cls(
            tokens=_mapped(folder / _TOKENS, np.int32, (counts["tokens"],)),
            ends=_mapped(folder / _ENDS, np.int64, (counts["examples"], _PARTS)),
            held=_mapped(folder / _HELD, np.int32, (counts["examples"],)),
        )

    def with_references(self, references: npt.NDArray[np.float64]) -> "StoredExamples":
        """The same, each example with its reference, where it has one."""
        return replace(self, references=references)

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | Sequence[Example]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        row = range(len(self))[index]  # raises IndexError, and counts from the end, as a list does
        start = int(self.ends[row - 1, -1]) if row else 0
        prompt, *targets = (tuple(tokens.tolist()) for tokens in self._cut(start, self.ends[row].tolist()))
        item = Item(prompt=prompt, targets=tuple(target for target in targets if target))
        return Example(item=item, reference=_pair(self.references, row), held_tokens=int(self.held[row]))

    def _cut(self, start: int, ends: list[int]) -> list[npt.NDArray[np.int32]]:
        return [self.tokens[first:last] for first, last in zip([start, *ends], ends, strict=False)]


def _pair(references: npt.NDArray[np.float64] | None, row: int) -> tuple[float, float] | None:
    if references is None or np.isnan(references[row, 0]):
        return None
    chosen, rejected = references[row].tolist()
    return chosen, rejected


def _mapped(path: Path, kind: Any, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    return np.memmap(path, dtype=kind, mode="r", shape=shape) if shape[0] else np.empty(shape, dtype=kind)
