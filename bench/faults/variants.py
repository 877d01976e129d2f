"""The pipeline's stages under several settings: every protocol, and an editor of each kind that keeps something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML

from bench.faults.forked import Ended, Forked
from lib.core.params import ROOT


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """Other settings than the fixture's, and the stages that they change, in their order."""

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    stages: Sequence[str] = ()
    """Empty: all."""


VARIANTS = (
    Configuration(name="mass, lora"),
    Configuration(
        name="sequential, lora, checkpoints",
        changes={"protocol": {"kind": "sequential", "batch_size": 2, "checkpoints": [4]}},
        stages=("edit", "score", "abilities"),
    ),
    Configuration(name="single, lora", changes={"protocol": {"kind": "single"}}, stages=("edit", "score")),
    Configuration(name="mass, memit", changes={"editor": "memit"}, stages=("statistics", "edit")),
    Configuration(name="mass, mend", changes={"editor": "mend"}, stages=("hypernet", "edit")),
    Configuration(
        name="similar neighbors", changes={"neighbors": {"kind": "similar"}}, stages=("encoder", "neighbors")
    ),
)


def stages_of_variants() -> tuple[tuple[str, str], ...]:
    """The name of each variant with each of its stages."""
    every_stage = list(YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"])
    return tuple((variant.name, stage) for variant in VARIANTS for stage in variant.stages or every_stage)


def each_stage(stages: Forked) -> Iterator[tuple[str, str]]:
    """The name of each variant with each of its stages, whose inputs are there; what it writes is there afterwards."""
    workspace = stages.workspace
    params = (workspace.folder / "params.yaml").read_text(encoding="utf-8")
    for variant in VARIANTS:
        (workspace.folder / "params.yaml").write_text(params, encoding="utf-8")
        workspace.change(variant.changes)
        for stage in variant.stages or workspace.stages:
            workspace.clear(stage)
            yield variant.name, stage
            if not workspace.files(stage):  # measured before the part that goes on was stopped
                undisturbed(stages, stage)


def undisturbed(stages: Forked, stage: str) -> Ended:
    """How the stage ends that nothing disturbs, its imports made before. What it writes is there afterwards."""
    for learn in (True, False):
        stages.workspace.clear(stage)
        ended = stages.run(stage, learn=learn)
        assert ended.status == 0, f"{stage}: {ended.log}"
    return ended
