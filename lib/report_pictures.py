"""The report's plots, each with a title, a caption, and the reason where there is nothing to draw."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from lib import plots
from lib.curve_plots import Panel, Series, panels
from lib.report_text import ABSENT

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One plot, or why there is none."""

    name: str
    """Of its file, without .png."""
    title: str
    caption: str
    png: bytes | None

    @property
    def uri(self) -> str:
        """The picture itself as an address, so that the page loads nothing."""
        return f"data:image/png;base64,{base64.b64encode(self.png or b'').decode()}"


def pictures(rows: Mapping[str, Rows], loss: pl.DataFrame) -> list[Picture]:
    """The plots of the edits themselves from the rows of plot_rows by file name, and the training loss by step."""
    return [
        Picture(
            name="scores",
            title="Before and after the edit",
            caption="Percent, with 95 % intervals.",
            png=plots.scores(rows["scores"]) if rows["scores"] else None,
        ),
        _locality(rows["locality_by_similarity"]),
        Picture(
            name="training_loss",
            title="Training loss",
            caption="Over the training pairs of all edits." if len(loss) else "This editor keeps no training curve.",
            png=plots.training_loss(loss["step"].to_list(), loss["loss"].to_list()) if len(loss) else None,
        ),
        _relations(rows["relations"]),
        *([_retention(rows["retention"])] if rows["retention"] else []),
        *([_divergence(rows["kl"])] if rows["kl"] else []),
    ]


def _locality(rows: Rows) -> Picture:
    """Against similarity where the neighbors were chosen by it, else how it spreads over the edits."""
    similar = [row for row in rows if row["similarity"] is not None]
    if similar:
        title, png = "Locality by similarity of neighbors", plots.locality_by_similarity(similar)
        caption = "Each point is one edit: how many of its locality prompts still have the right answer."
    elif rows:
        title, png = "Locality, edit by edit", plots.locality_spread(rows)
        caption = "How many edits kept which share of their locality prompts. Neighbors were not chosen by similarity."
    else:
        return Picture(name="locality", title="Locality", caption=f"Locality was {ABSENT}.", png=None)
    return Picture(name="locality", title=title, caption=caption, png=png)


def _retention(rows: Rows) -> Picture:
    return Picture(
        name="retention",
        title="Retention: while more edits are made",
        caption="Of all edits so far at each checkpoint; dotted: of the newest only.",
        png=plots.retention(rows),
    )


def _divergence(rows: Rows) -> Picture:
    some = [row for row in rows if row["group"] == "all so far"]
    line = Series(
        label="KL",
        edits=[row["edits"] for row in some],
        values=[row["mean"] for row in some],
        ci95=[row["ci95"] for row in some],
    )
    panel = Panel(title="KL to the unedited model, nats", series=[line], percent=False)
    return Picture(
        name="kl_by_edits",
        title="Distance from the unedited model",
        caption="Of the next word after the locality prompts of all edits so far, with 95 % intervals.",
        png=panels([panel], columns=1, width=plots.WIDTH, height=2.4),
    )


def _relations(rows: Rows) -> Picture:
    shown = min(len(rows), plots.RELATIONS)
    caption = "After the edit; the number of edits is in brackets."
    if shown < len(rows):
        caption += f" The {shown} relations with most edits, of {len(rows)}."
    return Picture(
        name="relations",
        title="By relation",
        caption=caption if rows else "The facts name no relations.",
        png=plots.success_by_relation(rows) if rows else None,
    )
