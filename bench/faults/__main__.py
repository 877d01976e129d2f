"""Run the parts that are asked for, each in a process of its own, and write the page: see bench/faults/__init__.py."""

import argparse
import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import bench.faults as faults
from bench.faults.merging import COMMIT
from bench.faults.page import page
from lib.core.files import read_json, sha256, write_json
from lib.core.params import ROOT
from lib.core.run import run
from lib.experiments.repository import changed, git, head, untracked
from lib.runtime.machine import hardware, versions

CODE = ("apps", "bench", "configs", "dvc.yaml", "errata", "examples", "lib", "params.yaml", "stages")
"""Of the repository: what a result depends on."""
STORE = ROOT / ".scratch" / "faults"


def main(arguments: Sequence[str] | None = None, store: Path = STORE) -> None:
    """Run parts and write the page; exit status 1 where a part found a fault or did not end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=faults.PARTS, default=faults.PARTS, metavar="PART",
                        help=f"of {', '.join(faults.PARTS)}; without a name none, and the page is written")  # fmt: skip
    parser.add_argument("--scale", choices=("small", "full"), default="full")
    parser.add_argument("--rows", nargs="+", default=[], metavar="ROW",
                        help="of those parts these rows alone: a row's first cells, joined by ', '")  # fmt: skip
    parser.add_argument("--seed", type=int, default=faults.SEED, help="of the files that are drawn")
    parser.add_argument("--cases", type=int, help="files of each loader, or kills of dvc; without it the scale's")
    parser.add_argument("--again", action="store_true", help="also what this version of the code has found before")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "reliability.md", help="the page")
    parser.add_argument("--part", choices=faults.PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.part:
        measured(options.part, options.scale, store, rows=tuple(options.rows), seed=options.seed, cases=options.cases)
        return
    ended = [name for name in options.only if not _run(name, options, store)]
    written = options.only or faults.PARTS
    results = {name: _result(name, store) if name in written else None for name in faults.PARTS}
    earlier = options.out.read_text(encoding="utf-8") if options.out.is_file() else ""
    options.out.write_text(page(results, earlier), encoding="utf-8")
    counts = {name: len(result["findings"]["faults"]) for name, result in results.items() if result is not None}
    print(f"{options.out}: faults: {', '.join(f'{name} {count}' for name, count in counts.items())}")
    if ended:
        sys.exit(f"these parts did not end; the same command goes on with them: {', '.join(ended)}")
    sys.exit(1 if any(counts[name] for name in options.only) else 0)


def measured(name: str, scale: faults.Scale, store: Path = STORE, **limits: Any) -> None:
    """Run one part in this process and keep what it finds; `limits` is the rest of its Trial."""
    key = version()
    trial = faults.Trial(scale=scale, folder=store / f"{name}-{scale}-{key}", **limits)
    trial.folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    earlier = trial.folder / "seconds.json"
    before = float(read_json(earlier)["seconds"]) if earlier.is_file() else 0.0
    try:
        findings = import_module(f"bench.faults.{name}").measure(trial)
    finally:
        seconds = before + time.monotonic() - began
        write_json(earlier, {"seconds": seconds})
    commit = _commit()
    results = asdict(findings)
    results |= {"columns": [*findings.columns, COMMIT], "rows": [[*row, commit] for row in findings.rows]}
    about = {"scale": scale, "key": key, "complete": trial == faults.Trial(scale=scale, folder=trial.folder),
             "seconds": seconds, "date": datetime.now(UTC).date().isoformat(), "commit": commit,
             "hardware": hardware(), "versions": versions()}  # fmt: skip
    write_json(store / f"{name}.json", {"findings": results, "about": about})
    shutil.rmtree(trial.folder)


def version() -> str:
    """A short hash of the code and the settings as they are, committed or not; of no page."""
    trees = [git(ROOT, "ls-tree", "HEAD", "--", path) for path in CODE]
    difference = git(ROOT, "diff", "HEAD", "--", *CODE)
    added = [f"{path} {sha256(ROOT / path)}" for path in untracked(ROOT) if path.split("/")[0] in CODE]
    return hashlib.sha256("".join([*trees, difference, *added]).encode()).hexdigest()[:12]


def _run(name: str, options: argparse.Namespace, store: Path) -> bool:
    """Whether the part has a result of this scale and version, after it was run where it had none."""
    result = _result(name, store)
    complete = not options.rows and options.cases is None and options.seed == faults.SEED
    if result is not None and not options.again and complete and _is_of(result["about"], options.scale):
        return True
    print(f"{name}: running", file=sys.stderr)
    command = [sys.executable, "-m", "bench.faults", "--part", name, "--scale", options.scale,
               "--seed", str(options.seed), *(["--cases", str(options.cases)] if options.cases else []),
               *(["--rows", *options.rows] if options.rows else [])]  # fmt: skip
    return subprocess.run(command, cwd=ROOT).returncode == 0


def _is_of(about: dict[str, Any], scale: faults.Scale) -> bool:
    return bool(about["scale"] == scale and about["key"] == version() and about["complete"])


def _result(name: str, store: Path) -> dict[str, Any] | None:
    path = store / f"{name}.json"
    result: dict[str, Any] | None = read_json(path) if path.is_file() else None
    return result


def _commit() -> str:
    code = [path for path in [*changed(ROOT), *untracked(ROOT)] if path.split("/")[0] in CODE]
    return f"{head(ROOT)[:9]}{' with changes' if code else ''}"


if __name__ == "__main__":
    run(main)
