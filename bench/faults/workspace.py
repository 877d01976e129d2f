"""A throw-away copy of the repository in which the whole pipeline is small, and its stages run one at a time.

Dataset world, model tiny, and sizes cut so that no stage works for more than a second or two: what is measured is
whether the bytes are the same after a fault, not what they say.
"""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from ruamel.yaml import YAML

from lib.core.files import sha256
from lib.core.params import ROOT
from lib.handover import workspace as handed_over

COPIED = (*handed_over.COPIED, "bench", "apps")
SMALL: Mapping[str, Any] = {
    "dataset": "world",
    "model": "tiny",
    "facts": {"limit": 6, "pool_limit": 40},
    "recall": {"sample": 40},
    "para": {"backend": "transformers", "n": 2, "max_tokens": 16},
    "neighbors": {"n": 2},
    "statistics": {"n_samples": 30},
    "train": {"epochs": 3, "checkpoint_steps": 2},
    "score": {
        "greedy": {"tokens": 4},
        "generations": {"limit": 2, "tokens": 20},
        "plain_texts": {"limit": 4},
    },
    "abilities": {"limit": 4},
}
"""What params.yaml has in place of its own values."""
PRESETS: Mapping[str, Any] = {
    "models/tiny": {"tiny": {"hidden": 64, "layers": 4, "inner": 128, "max_vocabulary": 3000, "steps": 5}},
    "editors/memit": {"layers": [1, 2], "moment_weight": 100.0, "token": "prompt_last", "optimisation": {"steps": 4}},
    "editors/mend": {"layers": 2, "rank": 8, "steps": 6, "batch_size": 2, "validation_steps": 3,
                     "validation_cases": 2, "locality": 1, "lr": 3.0e-4, "decay": "linear"},
}  # fmt: skip


@dataclass(frozen=True)
class Sandbox:
    """The copy."""

    folder: Path

    @classmethod
    def new(cls, folder: Path) -> Self:
        """Copy code and settings into `folder`, and make the settings small."""
        copy_code(folder)
        workspace = cls(folder)
        workspace.change(SMALL)
        for name, values in PRESETS.items():
            change(folder / "configs" / f"{name}.yaml", values)
        return workspace

    def change(self, values: Mapping[str, Any]) -> None:
        """Set keys of params.yaml, the others left as they are."""
        change(self.folder / "params.yaml", values)

    @property
    def stages(self) -> list[str]:
        """Their names in dvc.yaml's order, which is one in which they can run."""
        return list(self._dag())

    def command(self, stage: str) -> list[str]:
        """The stage's command as dvc.yaml has it, without `python -m`."""
        return str(self._dag()[stage]["cmd"]).split()[2:]

    def outs(self, stage: str) -> list[Path]:
        """The files and folders that the stage writes, what it used (seconds, memory) left out."""
        entries = [*self._dag()[stage].get("outs", []), *self._dag()[stage].get("metrics", [])]
        names = [next(iter(entry)) if isinstance(entry, Mapping) else entry for entry in entries]
        return [self.folder / name for name in names if not name.startswith("metrics/usage/")]

    def files(self, stage: str) -> dict[str, str]:
        """SHA-256 of every file that the stage has written, by its path in the workspace."""
        paths = [file for out in self.outs(stage) for file in ([out] if out.is_file() else sorted(out.rglob("*")))]
        names = {str(path.relative_to(self.folder)): path for path in paths if path.is_file()}
        return {name: sha256(path) for name, path in names.items() if name != "report/usage.json"}

    def unfinished(self) -> set[str]:
        """Files that were to get another name, and did not, outside of .scratch."""
        return {
            str(path.relative_to(self.folder))
            for path in self.folder.rglob("*.unfinished")
            if path.relative_to(self.folder).parts[0] != ".scratch"
        }

    def clear(self, stage: str) -> None:
        """Remove what the stage has written, as DVC does before it runs one, and all unfinished work."""
        for path in [*self.outs(stage), self.folder / ".scratch"]:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def left_behind(self) -> list[str]:
        """Remove what is `unfinished`, and say so; nothing where there is none."""
        names = sorted(self.unfinished())
        for path in (self.folder / name for name in names):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        return [f"left behind: {', '.join(names)}"] if names else []

    def _dag(self) -> Mapping[str, Any]:
        return _stages_of((self.folder / "dvc.yaml").read_text(encoding="utf-8"))


@functools.cache
def _stages_of(text: str) -> Mapping[str, Any]:
    stages: Mapping[str, Any] = YAML(typ="safe").load(text)["stages"]
    return stages


def copy_code(folder: Path) -> None:
    """Copy into `folder` what stages read that no stage makes, and the code of these parts."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        handed_over.copy_code(ROOT / name, folder / name)


@contextmanager
def small_sandbox() -> Iterator[Sandbox]:
    """A workspace in a temporary folder, which is removed at the end."""
    with TemporaryDirectory(prefix="errata-faults-") as folder:
        yield Sandbox.new(Path(folder) / "errata")


def change(path: Path, values: Mapping[str, Any]) -> None:
    """Set keys of a YAML file, at any depth."""
    yaml = YAML()
    content = yaml.load(path.read_text(encoding="utf-8"))
    _merge(content, values)
    with path.open("w", encoding="utf-8") as stream:
        yaml.dump(content, stream)


def _merge(content: Any, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(content.get(key), Mapping):
            _merge(content[key], value)
        else:
            content[key] = value


def refusal(*options: str) -> str:
    """Why the machine makes no namespace with these options of `unshare`; empty where it does."""
    try:
        return subprocess.run(["unshare", *options, "true"], capture_output=True, text=True).stderr.strip()
    except FileNotFoundError:
        return "there is no command `unshare`"


def differing(expected: Mapping[str, str], actual: Mapping[str, str]) -> str:
    """The files that are not the same, or not in one of them; empty where there are none."""
    return ", ".join(name for name in sorted({*expected, *actual}) if expected.get(name) != actual.get(name))


def environment(**variables: str) -> dict[str, str]:
    """What a stage or DVC runs with: this Python, one thread, no settings of the caller's DVC or launcher."""
    apart = ("DVC_", "ERRATA_", "WORLD_SIZE", "RANK", "LOCAL_RANK")
    values = {name: value for name, value in os.environ.items() if not name.startswith(apart)}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return values | {"PATH": path, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"} | variables
