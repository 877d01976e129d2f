"""Every figure that a GPU is wanted for, by one command, in under nine minutes on one H100.

It needs torch, transformers, peft, safetensors and numpy, and downloads nothing: weights are random, shapes published.
Each part runs in a process of its own, which is ended when its time is over; a part that fails is named and passed
over. The result is one JSON, printed and written. `--device cpu --tiny` runs every part at a toy size, in one process.

    python -m bench.gpu --output gpu.json
    python -m bench.gpu --device cpu --tiny
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

TOTAL_SECONDS = 525
PARTS = {
    "lora_gpt2_xl": 70,
    "lora_gpt_j_6b": 80,
    "lora_llama_8b": 80,
    "scoring": 60,
    "single_loras": 60,
    "rome": 60,
    "memit_z": 60,
    "second_moments": 40,
    "attention": 60,
    "compiling": 80,
    "equality": 40,
}
"""By name the most seconds of a part, its start included; all of them together have TOTAL_SECONDS."""


def main() -> None:
    """Parse options; run one part, or all of them and print what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda or cpu")
    parser.add_argument("--tiny", action="store_true", help="toy sizes, all parts in this process")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=5.0, help="about how long each measurement repeats its work")
    parser.add_argument("--output", type=Path, default=Path("gpu.json"))
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(run_part(options.part, options)))
        return
    began = time.monotonic()
    results: dict[str, Any] = {}
    for name in options.parts:
        remaining = TOTAL_SECONDS - (time.monotonic() - began)
        started = time.monotonic()
        results[name] = guarded(name, options) if options.tiny else in_process_of_its_own(name, options, remaining)
        results[name]["wall_seconds"] = round(time.monotonic() - started, 1)
        print(f"{name}: {results[name].get('failed', 'done')}, {results[name]['wall_seconds']} s", file=sys.stderr)
    failed = [name for name, result in results.items() if "failed" in result]
    summary = {"machine": _machine(), "options": {"device": options.device, "tiny": options.tiny}, "failed": failed,
               "wall_seconds": round(time.monotonic() - began, 1), "parts": results}  # fmt: skip
    text = json.dumps(summary, indent=1, sort_keys=True)
    options.output.write_text(text + "\n")
    print(text)


def run_part(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """What a part measures."""
    import torch

    from bench.gpu.shapes import Machine

    device = torch.device(options.device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.backends.cuda.matmul.allow_tf32 = False
    machine = Machine(device=device, tiny=options.tiny, seconds=0.0 if options.tiny else options.seconds)
    return _functions()[name](machine)


def guarded(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """What a part measures, or the name of its failure: one part's must not take the others' figures with it."""
    try:
        return run_part(name, options)
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"[:500]}


def _functions() -> dict[str, Callable[[Any], dict[str, Any]]]:
    """Imported late: the process that starts the parts needs none of it."""
    from bench.gpu import attention, locating, scoring, training

    return {
        "lora_gpt2_xl": partial(training.lora_training, "gpt2-xl"),
        "lora_gpt_j_6b": partial(training.lora_training, "gpt-j-6b"),
        "lora_llama_8b": partial(training.lora_training, "llama-8b"),
        "scoring": scoring.scoring,
        "single_loras": training.single_loras,
        "rome": locating.rome_edits,
        "memit_z": locating.memit_z,
        "second_moments": locating.moments,
        "attention": attention.attention,
        "compiling": attention.compiling,
        "equality": scoring.equality,
    }


def in_process_of_its_own(name: str, options: argparse.Namespace, remaining: float) -> dict[str, Any]:
    limit = min(float(PARTS[name]), remaining)
    if limit < 10:
        return {"failed": f"no time is left: all parts together have {TOTAL_SECONDS} s"}
    command = [sys.executable, "-m", "bench.gpu", "--part", name, "--device", options.device,
               "--seconds", str(options.seconds)]  # fmt: skip
    try:
        environment = {"CUDA_VISIBLE_DEVICES": "0", **os.environ}  # Trainer would spread over all that it sees
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, env=environment)
    except subprocess.TimeoutExpired:
        return {"failed": f"not done in {limit:.0f} s"}
    if done.returncode != 0:
        return {"failed": " ".join(done.stderr.split()[-60:])[-500:] or f"exit {done.returncode}"}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _machine() -> dict[str, str]:
    from lib.runtime.machine import hardware, versions

    return hardware() | versions()


if __name__ == "__main__":
    main()
