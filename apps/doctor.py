"""What is installed, which device there is, and what would run where: `errata doctor`."""

import shutil
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console

from lib.core import cache
from lib.core.params import ROOT, Model, Para, preset, presets, section
from lib.generation.backends import backend_of
from lib.handover.estimates import memory_available_gib
from lib.handover.recent import bundles
from lib.models.precision import training_dtype
from lib.runtime.machine import device, hardware, versions

_PINS = ROOT / "requirements.txt"
_OPTIONAL = ("vllm", "ray", "gradio")
_GIB = 2**30


def doctor(console: Console, quiet: bool) -> dict[str, Any]:
    """Look at the machine; print it unless `quiet`, and return it for programs. `ok` says whether every pin is met."""
    where = device()
    wrong = unmet_pins(_PINS)
    optional = {name: installed(name) or "not installed" for name in _OPTIONAL}
    usage = shutil.disk_usage(ROOT)
    dtype = str(training_dtype("auto", where) or "the dtype of the model").removeprefix("torch.")
    report: dict[str, Any] = {
        "repository": str(ROOT),
        "machine": {**hardware(), "free_memory_gib": round(memory_available_gib(where), 1)},
        "free_disk_gib": round(usage.free / _GIB, 1),
        "versions": versions(),
        "unmet_pins": wrong,
        "optional": optional,
        "training": f"{where.type}, {dtype}",
        "paraphrases": backend_of(section("para", Para)),
        "models": {name: preset("models", name, Model).source for name in presets("models")},
        "cache": str(cache.cache_folder()),
        "edits": [str(bundle.folder) for bundle in bundles()],
        "git": bool(shutil.which("git")),
    }
    if not quiet:
        _print(report, console)
    return {**report, "ok": not wrong}


def unmet_pins(requirements: Path) -> list[str]:
    """Packages that are pinned and not installed in that version, as sentences."""
    lines = [line.partition("#")[0].strip() for line in requirements.read_text(encoding="utf-8").splitlines()]
    pins = [line.split("==") for line in lines if "==" in line]
    return [
        f"{name}: wanted {pinned}; found {actual or 'none'}"
        for name, pinned in pins
        if (actual := installed(name)) is None or actual.partition("+")[0] != pinned
    ]


def installed(package: str) -> str | None:
    """The version of an installed package, None where it is not."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "of unknown version" if find_spec(package.replace("-", "_")) else None


def _print(report: Mapping[str, Any], console: Console) -> None:
    for name, value in report.items():
        if isinstance(value, dict):
            text = ", ".join(f"{key.replace('_', ' ')} {item}" for key, item in value.items())
        else:
            text = "; ".join(map(str, value)) if isinstance(value, list) else str(value)
        console.print(f"{name.replace('_', ' '):<14} {text or 'none'}", markup=False, highlight=False, soft_wrap=True)
    if report["unmet_pins"]:
        console.print("\npip install -r requirements.txt puts the pinned versions in place")
