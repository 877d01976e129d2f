"""A training step with one thread, with two that sleep while they wait, and with two that spin.

python -m bench.threads                 # nothing else runs
python -m bench.threads --busy 1        # beside a process that never stops
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

SIDES = {
    "one thread": {"OMP_NUM_THREADS": "1"},
    "two, asleep while they wait (errata's)": {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"},
    "two, spinning (torch's)": {"OMP_NUM_THREADS": "2"},
}
SHAPES = {
    "tiny (hidden 128, 4 blocks)": {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 4},
    "SmolLM2's width, 5 of its 30 blocks": {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 5},
}
"""Sizes of Llama-shaped models with random weights."""


def main() -> None:
    """Measure every side by turns, and print milliseconds a step: the median of the turns, and their range."""
    options = _options()
    if options.side:
        print(" ".join(str(_milliseconds_a_step(shape, options.seconds)) for shape in SHAPES.values()))
        return
    loads = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(options.busy)]
    turns: dict[str, list[list[float]]] = {name: [] for name in SIDES}
    try:
        for _ in range(options.repeats):
            for name in SIDES:
                turns[name].append(_child(name, options))
    finally:
        for load in loads:
            load.kill()
    print(f"Milliseconds a step of 10 rows of 64 tokens, float32, beside {options.busy} busy processes:\n")
    print("\n".join([f"| threads | {' | '.join(SHAPES)} |", "|---|" + "---|" * len(SHAPES)]))
    for name, measured in turns.items():
        print(f"| {name} | {' | '.join(_cell(list(of_shape)) for of_shape in zip(*measured, strict=True))} |")


def _cell(milliseconds: list[float]) -> str:
    return f"{statistics.median(milliseconds):.0f} ({min(milliseconds):.0f} to {max(milliseconds):.0f})"


def _child(side: str, options: argparse.Namespace) -> list[float]:
    """A side's milliseconds a step for every shape, in a process of its own: torch reads the settings when it loads."""
    command = [sys.executable, "-m", "bench.threads", "--side", side, "--seconds", str(options.seconds)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    done = subprocess.run(command, env={**clean, **SIDES[side]}, stdout=subprocess.PIPE, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def _milliseconds_a_step(shape: dict[str, int], seconds: float) -> float:
    step = _training_step(shape)
    step()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        step()
        count += 1
    return 1000 * (time.perf_counter() - began) / count


def _training_step(shape: dict[str, int]) -> Callable[[], None]:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(num_attention_heads=4, vocab_size=1000, **shape))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    ids = torch.arange(640).view(10, 64)

    def step() -> None:
        model(ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, default=0, help="processes that compute beside it all the time")
    parser.add_argument("--repeats", type=int, default=3, help="turns")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
