"""The files and folders that editing reads: imported by stages before anything that is slow to import."""

import argparse
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The files and folders that editing reads."""

    requests: Path
    pool: Path
    text: Path
    paraphrases: Path
    neighbors: Path
    model: Path
    statistics: Path
    hypernet: Path

    @classmethod
    def of(cls, options: argparse.Namespace) -> "Inputs":
        """From the parsed options, which are called INPUTS."""
        return cls(**{name: getattr(options, name) for name in INPUTS})


INPUTS = tuple(Inputs.__dataclass_fields__)
