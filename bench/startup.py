"""What it costs to begin: the command line and every stage asked for --help, and what DVC looks at before it runs.

Beside them what a script pays that imports its libraries at the top. By turns, each a process of its own.

    python -m bench.startup --repeats 3
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from bench.side_by_side import machine_now, median_and_range
from lib.core.params import ROOT

_IMPORTS = "import torch, peft; from transformers import AutoModelForCausalLM, AutoTokenizer"


def main() -> None:
    """Parse options, run every command by turns, print a table of medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    commands = _commands()
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(options.repeats):
        for name, command in commands.items():
            runs[name].append(_seconds(command))
            print(f"{name}: {runs[name][-1][0]:.2f} s", file=sys.stderr)
    print(_table(runs))


def _commands() -> Mapping[str, Sequence[str]]:
    stages = sorted(file.stem for file in (ROOT / "stages").glob("*.py") if file.stem != "__init__")
    python = sys.executable
    return {
        "a script's imports (torch, transformers, peft)": [python, "-c", _IMPORTS],
        "`errata --help`": [python, "-m", "errata", "--help"],
        **{f"`python -m stages.{stage} --help`": [python, "-m", f"stages.{stage}", "--help"] for stage in stages},
        "`dvc version`": [python, "-m", "dvc", "--version"],
        "`dvc status`": [python, "-m", "dvc", "status"],
    }


def _seconds(command: Sequence[str]) -> tuple[float, float]:
    """Seconds of the wall and of the processor. Raises CalledProcessError where the command fails."""
    before, began = _processor_seconds(), time.perf_counter()
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)
    return time.perf_counter() - began, _processor_seconds() - before


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _table(runs: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    lines = ["| command | seconds | of the processor |", "|---|---|---|"]
    for name, of_command in runs.items():
        walls, processors = zip(*of_command, strict=True)
        lines.append(f"| {name} | {median_and_range(walls, 2)} | {statistics.median(processors):.2f} |")
    repeats = len(next(iter(runs.values())))
    return "\n".join([*lines, "", f"Median of {repeats} runs; {machine_now()}"])


if __name__ == "__main__":
    main()
