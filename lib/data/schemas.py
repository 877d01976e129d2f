"""Schemas of published datasets that are not read, known by their fields, so that they are refused by their name."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lib.core.errors import InputError
from lib.data.rows import InputRow

_RIPPLE_KINDS = frozenset(
    ("Relation_Specificity", "Logical_Generalization", "Subject_Aliasing", "Compositionality_I", "Compositionality_II",
     "Forgetfulness")
)  # fmt: skip


def refuse_other_schema(path: Path, rows: Sequence[InputRow]) -> None:
    """Raise InputError where a row is a record of MQuAKE (arXiv 2305.14795) or RippleEdits (arXiv 2307.12976)."""
    for row in rows:
        if name := _schema(row.values):
            raise InputError(
                f"{path}: line {row.line}: wanted a schema that is read (docs/own-facts.md, configs/datasets); "
                f"found a record of {name}, whose questions are not evaluated yet, so that it is not read either. "
                "Write its edits as rows of prompt and target_new for dataset=own."
            )


def _schema(values: Mapping[str, object]) -> str | None:
    """The name of the dataset whose record it is, of those that are refused."""
    multi_hop = {"questions", "single_hops", "new_single_hops"} & {*values}
    if "requested_rewrite" in values and (isinstance(values["requested_rewrite"], list) or multi_hop):
        return "MQuAKE (requested_rewrite with multi-hop questions)"
    edit = values.get("edit")
    is_edit = isinstance(edit, Mapping) and bool({"subject_id", "target_id", "fact"} & {*edit})
    if is_edit or ("edit" in values and ("example_type" in values or _RIPPLE_KINDS & {*values})):
        return "RippleEdits (edit with queries by criterion)"
    return None
