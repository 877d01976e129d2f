"""What the runs of a table have left in DVC's cache."""

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import polars as pl

from lib.experiments import weight_rows
from lib.experiments.overrides import PARAMS
from lib.experiments.repository import experiments
from lib.experiments.runs import fetched
from lib.experiments.workspace import PlannedRun, Workspace

ABILITIES = "results/abilities.json"
WEIGHTS, SINGLE_WEIGHTS = "results/train/weights.csv", "results/single_weights.csv"
Plans = Mapping[str, Sequence[PlannedRun]]
"""Every row's runs, one a seed."""


def content(workspace: Workspace, name: str, path: str) -> bytes | None:
    """The content of an output of HEAD's experiment of this name, from DVC's cache; None where HEAD has none.

    Raises FileNotFoundError where the experiment has no such output, or neither the cache nor the remote holds it.
    """
    if (commit := experiments(workspace.root, name).get(workspace.commit)) is None:
        return None
    with fetched(workspace.root, commit, path) as local:
        return local.read_bytes()


def abilities(workspace: Workspace, plans: Plans) -> dict[str, list[dict[str, Any]]]:
    """Of every row and seed that ran, the figures of its general abilities."""
    return {
        row: [json.loads(text) for run in runs if (text := content(workspace, run.name, ABILITIES)) is not None]
        for row, runs in plans.items()
    }


def weights(workspace: Workspace, plans: Plans) -> dict[str, list[pl.DataFrame]]:
    """Of every row and seed that ran, what its edits change in the weights."""
    return {
        row: [table for run in runs if (table := _weights(workspace, run)) is not None] for row, runs in plans.items()
    }


def _weights(workspace: Workspace, planned: PlannedRun) -> pl.DataFrame | None:
    """What the edits of a run change, after so many of them, or each by itself; None where it has not run."""
    alone = planned.values[PARAMS]["protocol"]["kind"] == "single"
    table = content(workspace, planned.name, SINGLE_WEIGHTS if alone else WEIGHTS)
    if table is None:
        return None
    rows = pl.read_csv(BytesIO(table))
    return weight_rows.of_single_edits(rows) if alone else rows
