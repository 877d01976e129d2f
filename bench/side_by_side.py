"""Ways of doing the same work, each in a process of its own, by turns, so that neither warms or fills the other's.

A benchmark has sides, a function for each name that does the work and returns a `Measurement`; `compare` calls them as
`python -m bench.<module> --side <name>` and takes medians.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lib.core.usage import peak_memory_mib
from lib.runtime.machine import hardware, versions


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What one side found and how long the work itself took, set-up left out."""

    seconds: float
    work: int
    """Units of work done: pairs trained, records scored."""
    values: list[float]
    """What the other sides must find as well."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """All sides, measured in one run of the benchmark."""

    title: str
    """May name options, as "{shape}"."""
    unit: str
    tolerance: float
    """Largest difference between two sides' values, absolute."""
    sides: Mapping[str, Callable[[argparse.Namespace], Measurement]]
    """Ours first."""


def compare(benchmark: Benchmark, parser: argparse.ArgumentParser) -> None:
    """Run the benchmark from the command line: print a table; exit with 1 where the sides' values differ."""
    parser.add_argument("--side", choices=benchmark.sides, help=argparse.SUPPRESS)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each side, by turns")
    options = parser.parse_args()
    if options.side:
        measurement = benchmark.sides[options.side](options)
        print(json.dumps(asdict(measurement) | peak_memory_mib()))
        return
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in benchmark.sides}
    for _ in range(options.repeats):
        for name in benchmark.sides:
            runs[name].append(_child(name))
    differ = _difference(runs)
    print(benchmark.title.format(**vars(options)), _table(benchmark, runs, differ), sep="\n\n")
    if not differ <= benchmark.tolerance:
        sys.exit(f"the sides differ by {differ:.2g}; wanted at most {benchmark.tolerance:.0e}")


def timed(work: Callable[[], list[float]], units: int) -> Measurement:
    """Do `work` once and time it."""
    began = time.perf_counter()
    values = work()
    return Measurement(seconds=time.perf_counter() - began, work=units, values=values)


def machine_now() -> str:
    """The load of the last five minutes, the processor and the versions of packages, in words."""
    machine, load = hardware(), os.getloadavg()[1]
    packages = ", ".join(f"{package} {version}" for package, version in versions().items())
    return f"load {load:.1f} (five minutes). {machine['processor']}, {machine['cores']} cores; {packages}"


def median_and_range(seconds: Sequence[float], digits: int) -> str:
    """As "5.1 (5.0 to 5.3)"."""
    middle, least, most = (f"{value:.{digits}f}" for value in (statistics.median(seconds), min(seconds), max(seconds)))
    return f"{middle} ({least} to {most})"


def _child(side: str) -> dict[str, Any]:
    main = sys.modules["__main__"].__spec__
    assert main is not None, "run a benchmark with python -m"
    command = [sys.executable, "-m", main.name, *sys.argv[1:], "--side", side]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"{side}: {result['seconds']:.1f} s", file=sys.stderr)
    return result


def _difference(runs: Mapping[str, list[dict[str, Any]]]) -> float:
    """Largest difference between any two runs' values; infinite where they are not as many."""
    values_of_runs: list[list[float]] = [run["values"] for of_side in runs.values() for run in of_side]
    if len({len(values) for values in values_of_runs}) > 1:
        return float("inf")
    largest: float = max(max(values) - min(values) for values in zip(*values_of_runs, strict=True))
    return largest


def _table(benchmark: Benchmark, runs: Mapping[str, list[dict[str, Any]]], differ: float) -> str:
    lines = [f"| side | {benchmark.unit}s a second | seconds | peak memory, MiB |", "|---|---|---|---|"]
    rates = {}
    for name, of_side in runs.items():
        seconds = [run["seconds"] for run in of_side]
        rates[name] = of_side[0]["work"] / statistics.median(seconds)
        memory = statistics.median(run["peak_memory_mib"] for run in of_side)
        lines.append(f"| {name} | {rates[name]:.2f} | {median_and_range(seconds, 1)} | {memory:.0f} |")
    first, *compared = rates
    ratios = [f"{first} : {side} = {rates[first] / rates[side]:.2f}" for side in compared]
    lines += ["", f"{'; '.join(ratios)}; largest difference of a value {differ:.1e}"]
    repeats = len(next(iter(runs.values())))
    return "\n".join([*lines, f"Median of {repeats} runs a side, by turns; {machine_now()}"])
