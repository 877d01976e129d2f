"""Every editor's seconds per edit and peak memory, single, single with shared passes, and all at once.

Works on what the pipeline has made (`make run`), or on another model: --model takes a folder of stage `base`, or any
folder with weights and tokenizer as transformers stores them, and --preset the model preset whose settings it gets.
Every editor and protocol has a process of its own, so that peak memory is its own, the model included.

    python -m bench.editors --requests 10
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from lib.core import params
from lib.core.files import write_json
from lib.core.records import Request
from lib.core.root import Params, read_root
from lib.core.usage import peak_memory_mib
from lib.editors import names, needs
from lib.methods.contract import reads_moments, trains_hypernet
from lib.methods.locating.second_moments import drawn_texts
from lib.models.manifest import MANIFEST
from lib.neighbors.overlap import usable_facts
from lib.protocols.files import INPUTS, Inputs
from lib.protocols.inputs import editing
from lib.protocols.job import Job, mass
from lib.protocols.single import edits_together, single
from lib.runtime.distributed import Distributed
from lib.runtime.machine import hardware, versions
from lib.runtime.scratch import forget

KINDS = ("single", "together", "mass")


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """In a process of its own: seconds and peak memory of one editor's preparation, or of editing by one protocol."""
    prepared = {name: options.prepared / name for name in ("statistics", "hypernet")}
    inputs = Inputs(**{**paths_under(options.root), "model": options.model, **prepared})
    root = read_root().model_copy(update={"editor": options.editor, "model": options.preset})
    with editing(root, inputs, "bench", Distributed(), lambda steps: None) as (job, requests):
        edited = requests[: options.requests]
        alone = replace(job, context=replace(job.context.of(edited), progress=lambda steps: steps))
        began = time.perf_counter()
        shared = _run(alone, edited, options.kind, root, inputs)
        seconds = time.perf_counter() - began
        forget(job.folder)
    return {"seconds": seconds, "edits": len(edited), "shared": shared, **peak_memory_mib()}


def paths_under(root: Path) -> dict[str, Path]:
    """The paths under `root` of what editing reads, as dvc.yaml has them."""
    words = YAML(typ="safe").load(params.ROOT / "dvc.yaml")["stages"]["edit"]["cmd"].split()
    return {name: root / words[words.index(f"--{name}") + 1] for name in INPUTS}


def _run(job: Job, requests: list[Request], kind: str, root: Params, inputs: Inputs) -> int:
    """Do the work; how many edits shared forward passes."""
    together = min(len(requests), edits_together(job, root.protocol)) if kind == "together" else 1
    if kind == "prepare":
        _prepare(job, root.statistics, inputs)
    elif kind == "mass":
        mass(job, requests)
    else:
        for _ in single(job, requests, together):
            pass
    return together


def _prepare(job: Job, settings: params.Statistics, inputs: Inputs) -> None:
    """What the stages `statistics` and `hypernet` do for the editor."""
    from lib.methods.locating.second_moments import save_moment, second_moments
    from lib.models.architecture import architecture

    if reads_moments(job.editor):
        layers = job.editor.moment_layers(job.model, job.settings)
        paths = [architecture(job.model).mlp_out_of(layer) for layer in layers]
        texts = drawn_texts(settings, inputs.text)
        moments = second_moments(
            job.model, job.tokenizer, texts, paths, settings.micro_batch_tokens, job.folder, lambda parts: parts
        )
        for path, moment in moments.items():
            save_moment(inputs.statistics, path, moment)
    if trains_hypernet(job.editor):
        pool, _ = usable_facts(inputs.pool, inputs.requests)
        job.editor.train_hypernet(job.model, job.tokenizer, pool, job.settings, job.context, inputs.hypernet)


def _row(name: str, options: argparse.Namespace) -> str:
    """The editor's row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        for marker in ("statistics", "hypernet"):
            write_json(Path(folder) / marker / "marker.json", {})
        measurements: dict[str, Mapping[str, Any]] = {}
        if needs(name).second_moments or needs(name).hypernet:
            measurements["prepare"] = _child(name, "prepare", folder, options)
        for kind in KINDS:
            if kind != "together" or needs(name).edit_each:
                measurements[kind] = _child(name, kind, folder, options)
    seconds = [
        f"{measurements[kind]['seconds'] / measurements[kind]['edits']:.3g}" if kind in measurements else ""
        for kind in KINDS
    ]
    if "together" in measurements:
        seconds[1] += f" ({measurements['together']['shared']} together)"
    prepared = f"{measurements['prepare']['seconds']:.1f}" if "prepare" in measurements else ""
    peaks = {kind: measurement["peak_memory_mib"] for kind, measurement in measurements.items()}
    memory = (str(peaks.get("prepare", "")), str(max(peaks[kind] for kind in KINDS if kind in peaks)))
    gpu = max(measurement.get("peak_gpu_memory_mib", 0) for measurement in measurements.values())
    return f"| {name} | {prepared} | {' | '.join(seconds)} | {' | '.join(memory)}{f' + {gpu} GPU' if gpu else ''} |"


def _child(name: str, kind: str, folder: str, options: argparse.Namespace) -> Mapping[str, Any]:
    command = [sys.executable, "-m", "bench.editors", "--editor", name, "--kind", kind, "--prepared", folder, "--root",
               str(options.root), "--model", str(options.model), "--preset", options.preset,
               "--requests", str(options.requests)]  # fmt: skip
    runs: list[Mapping[str, Any]] = []
    for _ in range(1 if kind == "prepare" else options.repeats):
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
        print(f"{name}, {kind}: {runs[-1]['seconds']:.2f} s", file=sys.stderr)
    return min(runs, key=lambda run: run["seconds"])


def _base(model: Path, folder: Path) -> Path:
    """`model` itself where stage base made it, else a manifest that points at it."""
    if (model / MANIFEST).is_file():
        return model
    about = {"source": "folder", "name": str(model.resolve()), "revision": None, "dtype": "bfloat16"}
    write_json(folder / MANIFEST, {**about, "files": {}})
    return folder


def main() -> None:
    """Parse options; print a table in Markdown, with the machine and how busy it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=params.ROOT, help="folder in which the pipeline has made its data")
    parser.add_argument("--model", type=Path, help="default: the base model there")
    parser.add_argument("--preset", default="tiny", help="model preset (configs/models) whose settings editors get")
    parser.add_argument("--editors", nargs="+", default=names(), choices=names())
    parser.add_argument("--requests", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=2, help="runs of each, of which the fastest counts")
    for name in ("editor", "kind"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    parser.add_argument("--prepared", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.model = options.model or paths_under(options.root)["model"]
    if options.editor:
        print(json.dumps(measured(options)))
        return
    busy = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        options.model = _base(options.model, Path(folder))
        rows = [_row(name, options) for name in options.editors]
    machine, packages = hardware(), versions()
    print("| editor | prepare, s | single, s an edit | single, shared passes | mass, s an edit "
          "| peak of preparing, MiB | peak of editing, MiB |")  # fmt: skip
    print("|---|---|---|---|---|---|---|", *rows, sep="\n")
    about = ", ".join(f"{name} {version}" for name, version in packages.items())
    print(
        f"\n{options.requests} edits, the fastest of {options.repeats} runs; {machine['processor']}, "
        f"{machine['cores']} cores, GPU {machine['GPU']}; {about}; "
        f"load before and after {busy:.1f}, {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
