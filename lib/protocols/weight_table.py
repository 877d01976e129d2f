"""What an edit changes in the weights, as a table over the sessions of a run (RECT's table 1) and as heat maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel

from lib.core.files import read_json, write_csv, write_json
from lib.core.params import Weights
from lib.edits.edit import Edit
from lib.edits.updates import Vector
from lib.edits.weight_change import Change, Measure, WeightChange, heat_map
from lib.metrics.weights import ABOVE, TOTAL, map_name
from lib.runtime.distributed import Distributed
from lib.runtime.scratch import fingerprint
from lib.runtime.tensors import load_tensors, save_tensors

_DIGITS = 6
_MAPS = ".safetensors"

WeightRow = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class WeightTable:
    """The figures after every measured session; what a run that was killed has measured is kept and found again."""

    measure: Measure
    settings: Weights
    folder: Path
    distributed: Distributed

    @classmethod
    def of(cls, model: PreTrainedModel, settings: Weights, scratch: Path, distributed: Distributed) -> "WeightTable":
        """That of a run on `model`, kept in `scratch` by the first process."""
        measure = Measure(model=model, thresholds=settings.thresholds, rank_side=settings.rank_side)
        key = fingerprint(settings=settings.model_dump())
        return cls(measure=measure, settings=settings, folder=scratch / f"weights-{key}", distributed=distributed)

    def add(self, edits: int, edit: Edit, with_maps: bool = False) -> None:
        """Measure `edit`, the sum of the first `edits` requests' sessions, unless that has been done.

        The first process does, and of a model that is spread all do together. `with_maps` keeps its heat maps as well.
        """
        path = self.folder / f"{edits:08d}.json"
        processes = self.distributed if self.distributed.sharded else Distributed()
        if not (self.distributed.is_main or self.distributed.sharded) or processes.broadcast(path.is_file()):
            return
        measured = rows(self.measure.of(edit), edits)
        if self.distributed.is_main:
            if with_maps:
                save_tensors(heat_maps(edit, measured, self.settings), path.with_suffix(_MAPS))
            write_json(path, {"rows": measured})

    def rows(self) -> list[WeightRow]:
        """All rows, session after session; the last one is the total of the last session."""
        return [row for path in sorted(self.folder.glob("*.json")) for row in read_json(path)["rows"]]

    def maps(self) -> dict[int, dict[str, Tensor]]:
        """The heat maps that were kept, by the number of edits and by path."""
        return {int(path.stem): load_tensors(path) for path in sorted(self.folder.glob(f"*{_MAPS}"))}


def rows(change: WeightChange, edits: int) -> list[WeightRow]:
    """A row for every weight, and the total; none where no weight is changed."""
    if not change.weights:
        return []
    named = [*change.weights.items(), (TOTAL, change.total)]
    return [{"edits": edits, "path": path, **figures(weight)} for path, weight in named]


def figures(change: Change) -> dict[str, Any]:
    """The figures of one row by column, to six significant digits; shares are percent."""
    return {
        "entries": change.entries,
        "manhattan": _short(change.manhattan),
        "frobenius": _short(change.frobenius),
        **{_share(float(name)): _short(value) for name, value in change.share_above.items()},
        "rank": change.rank,
        "largest": _short(change.largest),
        "base_largest": _short(change.base_largest),
    }


def summary(table: Sequence[WeightRow]) -> dict[str, Any]:
    """The total of the last session, for the metrics; where no weight was changed, that it is so."""
    if not table:
        return {"note": "the edit changes no weight"}
    return {name: value for name, value in table[-1].items() if name not in ("edits", "path")}


def write_weights(
    table: Path,
    maps: Path,
    table_rows: Sequence[WeightRow],
    edit: Edit,
    settings: Weights,
    earlier: Mapping[int, Mapping[str, Tensor]] = MappingProxyType({}),
) -> None:
    """The table as CSV, its header alone where there are no rows; and heat maps of what `edit` changed most.

    An empty cell is a rank that was not looked for. `earlier` are the heat maps after so many edits, which lie beside
    those of the end under `map_name`.
    """
    write_csv(table, ["edits", "path", *_columns(settings)], table_rows)
    named = {map_name(path, edits): blocks for edits, of_edits in earlier.items() for path, blocks in of_edits.items()}
    save_tensors(heat_maps(edit, table_rows, settings) | named, maps)


def heat_maps(edit: Edit, table_rows: Sequence[WeightRow], settings: Weights) -> dict[str, Tensor]:
    """The maps of the matrices with the largest Frobenius norm of the change after the last session of `table_rows`.

    By path; a bias or a norm's weight has none.
    """
    norms = {row["path"]: row["frobenius"] for row in table_rows}  # of several sessions the last one's stays
    matrices = {path: update for path, update in edit.updates.items() if not isinstance(update, Vector)}
    largest = sorted(matrices, key=lambda path: -norms[path])[: settings.maps]
    return {path: heat_map(matrices[path], settings.map_side) for path in largest}


def write_single_weights(table: Path, changes: Sequence[WeightRow | None], settings: Weights) -> None:
    """A row for each single edit, of all weights that it changes: its request_id, and `figures`.

    The header alone where none was measured; None is an edit that was not, or that changes no weight.
    """
    write_csv(table, ["request_id", *_columns(settings)], [change for change in changes if change is not None])


def _columns(settings: Weights) -> list[str]:
    """The names of what `figures` gives, in their order."""
    shares = [_share(threshold) for threshold in settings.thresholds]
    return ["entries", "manhattan", "frobenius", *shares, "rank", "largest", "base_largest"]


def _share(threshold: float) -> str:
    return f"{ABOVE}{threshold}"


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
