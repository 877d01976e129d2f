"""Schemas of published datasets that one loader reads, known by their fields, so that others refuse them by name."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lib.core.errors import InputError
from lib.data.rows import InputRow

_RIPPLE_KINDS = frozenset(
    ("Relation_Specificity", "Logical_Generalization", "Subject_Aliasing", "Compositionality_I", "Compositionality_II",
     "Forgetfulness")
)  # fmt: skip


def refuse_other_schema(path: Path, rows: Sequence[InputRow], dataset: str | None = None) -> None:
    """Raise InputError where a row is a record of MQuAKE or RippleEdits, but for the one that is `dataset`'s."""
    for row in rows:
        owner, name = _schema(row.values)
        if owner != dataset and owner is not None:
            raise InputError(
                f"{path}: line {row.line}: wanted a schema that this dataset has (docs/own-facts.md, "
                f"configs/datasets); found a record of {name}. Read it with dataset={owner}"
            )


def _schema(values: Mapping[str, object]) -> tuple[str | None, str]:
    """The dataset whose record it is, of those with a loader of their own, and the record in words."""
    multi_hop = {"questions", "single_hops", "new_single_hops"} & {*values}
    if "requested_rewrite" in values and (isinstance(values["requested_rewrite"], list) or multi_hop):
        return "mquake", "MQuAKE (requested_rewrite with multi-hop questions)"
    edit = values.get("edit")
    is_edit = isinstance(edit, Mapping) and bool({"subject_id", "target_id", "fact"} & {*edit})
    if is_edit or ("edit" in values and ("example_type" in values or _RIPPLE_KINDS & {*values})):
        return "ripple_edits", "RippleEdits (edit with queries by criterion)"
    return None, ""
