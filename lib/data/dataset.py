"""What a dataset is once it is read, and what the readers in lib/datasets/ share."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from lib.core import pool
from lib.core.errors import InputError
from lib.core.params import Facts, Neighbors
from lib.core.records import FOUND, Fact, Reject, Request, Text
from lib.core.texts import occurrences

_REASONS_TOLD = 3
DUPLICATE = "duplicate"
"""The reason of a reject that repeats an earlier edit (lib/data/edits.py)."""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A dataset, and the rows of its files that could not be used."""

    requests: list[Request]
    pool: list[Fact]
    text: list[Text]
    rejects: list[Reject]
    rows_of: Mapping[str, int]
    """How many rows each file has, by the file's name."""
    notes_of: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What was ignored in each file, or taken for something else, by the file's name."""
    lines: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """File and line (as in Reject) of requests, by request_id."""

    @property
    def rows(self) -> int:
        """How many rows were read, of all files."""
        return sum(self.rows_of.values())


def tell(loaded: Loaded) -> None:
    """Log a line for each file in which something was ignored, or taken for something else."""
    for file, remarks in loaded.notes_of.items():
        if remarks:
            logging.getLogger(__name__).warning("%s: %s", file, "; ".join(remarks))


def check(loaded: Loaded, max_reject_share: float, table: Path) -> None:
    """Raises InputError where a file has more rejects than its share, or no edit is left. `table` holds the rejects.

    An edit that is there twice is no fault of its file, and does not count.
    """
    complaints = []
    for file, rows in loaded.rows_of.items():
        counted = [reject for reject in loaded.rejects if not is_duplicate(reject)]
        rejects = [reject for reject in counted if reject.file == file]
        if len(rejects) > max_reject_share * rows:
            complaints.append(
                f"{file}: {len(rejects)} of {rows} rows rejected ({len(rejects) / rows:.1%}), more than "
                f"facts.max_reject_share allows ({max_reject_share:.1%}). Most often:\n"
                + "\n".join(_most_often(rejects))
            )
    if complaints:
        raise InputError(
            "\n".join(complaints) + f"\nEvery reject is in {table}. Correct the rows, or raise facts.max_reject_share."
        )
    if not loaded.requests:
        raise InputError(f"wanted at least one edit; found none. Rows that could not be used are in {table}.")


def is_duplicate(reject: Reject) -> bool:
    """Whether it only repeats an earlier edit."""
    return reject.reason.partition(FOUND)[0] == DUPLICATE


def check_pool(loaded: Loaded, dataset: str, limit: int | None, own_pool: str, neighbors: Neighbors) -> None:
    """Raises InputError where more neighbors are asked for than unedited facts are left for them.

    Args:
        loaded: the dataset.
        dataset: its name.
        limit: facts.limit.
        own_pool: own.pool, with `auto` resolved.
        neighbors: the section of params.yaml.
    """
    if dataset == "own":
        reason, remedy = f"own.pool={own_pool} has no fact", "own.pool to a dataset (almanac, world, counterfact, ...)"
    else:
        value = "null" if limit is None else limit
        reason = f"facts.limit={value} makes all {len(loaded.requests):,} records of {dataset} edits"
        remedy = "facts.limit to fewer"
    pool.check_pool(neighbors, len(loaded.pool), reason, remedy)
    if neighbors.are_requested and neighbors.n > len(loaded.pool):
        raise InputError(
            f"neighbors.n: wanted at most the number of unedited facts of the pool, {len(loaded.pool):,}; found "
            f"{neighbors.n:,}. Set it to that or fewer, or {remedy}"
        )


def _most_often(rejects: list[Reject]) -> Iterator[str]:
    kinds = Counter(_kind(reject) for reject in rejects)
    for kind, count in kinds.most_common(_REASONS_TOLD):
        example = next(reject for reject in rejects if _kind(reject) == kind)
        yield f"  {count} x {example.field}: {example.reason} (line {example.line})"


def _kind(reject: Reject) -> tuple[str, str]:
    return reject.field.partition("[")[0], reject.reason.partition(FOUND)[0]


def order(count: int, facts: Facts) -> Sequence[int]:
    """The order in which `count` records become edits: their own, or drawn with facts.seed."""
    return range(count) if facts.draw == "first" else Random(f"{facts.seed}/edits").sample(range(count), count)


def edited(count: int, facts: Facts) -> Sequence[int]:
    """Which of `count` records, of a dataset without splits of its own, are edits, in the order of their editing.

    In the order of facts.draw, the first facts.limit for test and the last facts.limit for validation.

    Raises InputError for validation without a limit: hyper-parameters would be chosen on the edits that are reported.
    """
    if facts.edits is None and facts.split == "validation":
        raise InputError(
            "facts.limit: wanted a number with facts.split validation, which takes the last records of this dataset; "
            "found null, which would take the test edits too"
        )
    limit = count if facts.edits is None else min(facts.edits, count)
    records = order(count, facts)
    return records[:limit] if facts.split == "test" else records[count - limit :]


def file_of(files: Mapping[str, Path], role: str) -> Path:
    """The file of this role. Raises InputError where the preset has none."""
    if role not in files:
        raise InputError(f"dataset preset: files: wanted the role {role!r}; found {', '.join(files) or 'none'}")
    return files[role]


def template(prompt: str, subject: str) -> str | None:
    """`prompt` with {} for the subject, such that texts.fill gives it back; None where that is ambiguous.

    A subject that stands there once as whole words is that one, whatever longer words begin with it.
    """
    starts = occurrences(prompt, subject)
    if len(starts) != 1:
        return None
    template_text = f"{prompt[: starts[0]]}{{}}{prompt[starts[0] + len(subject) :]}"
    return template_text if template_text.count("{}") == 1 else None
