"""How much host memory a mass edit takes for its training pairs: in memory, and mapped from disk as stage `edit` does.

Synthetic tables of edits, paraphrases and neighbors go through editor `lora` on a small random model, for a few steps.
Each case is measured in a process of its own. `peak` is the most memory that it held, the 400 MiB and more of Python,
torch and the model with it; `pairs` the files of the mapped pairs.

    python -m bench.pairs_growth
"""

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lib.core.editor_presets import editor_preset
from lib.core.params import Lora, Tiny, Train, section
from lib.core.records import Paraphrase, Request, UneditedFact
from lib.core.tables import Stored, read, write
from lib.editors import lora
from lib.methods.context import Context
from lib.methods.training.loop import Checkpoints
from lib.runtime.distributed import Distributed
from lib.tiny.model import make_model, make_tokenizer

STEPS = 30
CASES = [(1_000, 36), (10_000, 36), (1_000, 360)]
"""Edits, and pairs of each."""
_SHAPE = Tiny(hidden=64, layers=2, heads=2, inner=128, max_vocabulary=8000, longest=64, step_tokens=64, steps=1, lr=1.0,
              fewshot_share=0.0)  # fmt: skip


def main() -> None:
    """Measure every case, or the one that this process was started for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs=4, default=None, help=argparse.SUPPRESS)
    parser.add_argument("--write", nargs=3, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write is not None:
        write_tables(Path(options.write[0]), int(options.write[1]), int(options.write[2]))
        return
    if options.case is not None:
        folder, where, edits, pairs = options.case
        print(json.dumps(measure(Path(folder), where, int(edits) * int(pairs))))
        return
    print("| edits | pairs | where | before the first step, s | seconds a step | peak MiB | pairs, MiB |")
    print("|---|---|---|---|---|---|---|")
    for edits, pairs in CASES:
        with tempfile.TemporaryDirectory() as name:
            _run("--write", name, str(edits), str(pairs))
            for where in ("memory", "disk"):
                measured = json.loads(_run("--case", name, where, str(edits), str(pairs)))
                print(
                    f"| {edits} | {edits * pairs} | {where} | {measured['before']:.1f} | {measured['step']:.3f} |",
                    end="",
                )
                print(f" {measured['peak']:.0f} | {measured['disk']:.0f} |", flush=True)


def measure(folder: Path, where: str, pairs: int) -> dict[str, float]:
    """Seconds before the first step and of one step, and peak memory and size on disk in MiB."""
    requests = read(folder / "requests.parquet", Request)
    tokenizer = make_tokenizer((request.prompt for request in requests), _SHAPE.max_vocabulary)
    table: Any = Stored if where == "disk" else read
    train = section("train", Train).model_copy(update={"epochs": 1, "lr": 1e-3, "batch_size": 32})
    times: list[float] = []

    def first_steps(steps: Any) -> Iterator[int]:
        for step in itertools.islice(steps, STEPS):
            times.append(time.perf_counter())
            yield step
        times.append(time.perf_counter())

    began = time.perf_counter()
    context = Context(
        paraphrases=table(folder / "paraphrases.parquet", Paraphrase),
        neighbors=table(folder / "neighbors.parquet", UneditedFact),
        lora=Lora(r=4, alpha=8.0, targets=["q_proj"]),
        train=train,
        distributed=Distributed(),
        progress=first_steps,
        checkpoints=Checkpoints(folder=folder, every=1_000_000) if where == "disk" else None,
        record=lambda steps: None,
    )
    model = make_model(_SHAPE, len(tokenizer), 0).eval().requires_grad_(False)
    edit = lora.edit(model, tokenizer, requests, editor_preset("lora", None, lora.Settings), context)
    if edit.info["pairs"] != pairs:
        raise ValueError(f"wanted {pairs} pairs; found {edit.info['pairs']}")
    disk = sum(path.stat().st_size for path in folder.glob("pairs/*"))
    return {
        "before": times[0] - began,
        "step": (times[-1] - times[0]) / (len(times) - 1),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "disk": disk / 2**20,
    }


def write_tables(folder: Path, edits: int, pairs: int) -> None:
    """The tables of a run: of every edit's pairs, 4 in 9 are paraphrases and the others but one neighbors."""
    names = [f"First{number % 50} Last{number % 2000}" for number in range(edits)]
    paraphrases = pairs * 15 // 36
    write(
        folder / "requests.parquet",
        Request,
        [
            Request(request_id=str(number), dataset="bench", subject=name, relation="P1",
                    prompt=f"{name} is known to be", template=None,
                    target_new="an object", target_true="another", paraphrases=(f"So. {name} is",))
            for number, name in enumerate(names)
        ],
    )  # fmt: skip
    write(
        folder / "paraphrases.parquet",
        Paraphrase,
        (
            Paraphrase(
                request_id=str(number), kind="prefix", text=f"It rained {seed} times. {name} is known", seed=seed
            )
            for number, name in enumerate(names)
            for seed in range(paraphrases)
        ),
    )
    write(
        folder / "neighbors.parquet",
        UneditedFact,
        (
            UneditedFact(request_id=str(number), fact_id=str(rank), rank=rank, similarity=None,
                     prompt=f"The matter of {names[(number + rank) % edits]} is known to be", target="some object")
            for number in range(edits)
            for rank in range(pairs - 1 - paraphrases)
        ),
    )  # fmt: skip


def _run(*arguments: str) -> str:
    command = [sys.executable, "-m", "bench.pairs_growth", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    main()
