"""Ways of doing the same work, each in a process of its own, by turns, so that neither warms or fills the other's.

A benchmark has sides, a function for each name that does the work and returns a `Measurement`; `compare` calls them as
`python -m bench.<module> --side <name>` and takes medians. Sides that not everybody can run are left to an option.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lib.core.errors import InputError
from lib.core.usage import peak_memory_mib
from lib.runtime.machine import hardware, versions


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What one side found and how long the work itself took, set-up left out."""

    seconds: float
    work: int
    """Units of work done: pairs trained, records scored."""
    values: list[float]
    """What the other sides must find as well; as many for each unit."""
    start_seconds: float | None = None
    """Of set-up that `seconds` leaves out and a user waits for, by the same clock; None: not measured."""


Side = Callable[[argparse.Namespace], Measurement]


@dataclass(frozen=True, kw_only=True)
class OptionalSide:
    """A side that runs where a flag of its name asks for it: units with our values are counted, none must have them."""

    run: Side
    check: Callable[[], None]
    """Raises InputError where it cannot run here."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """All sides, measured in one run of the benchmark."""

    title: str
    """May name options, as "{shape}"."""
    unit: str
    tolerance: float
    """Largest difference between two sides' values, absolute."""
    sides: Mapping[str, Side]
    """Ours first."""
    optional: Mapping[str, OptionalSide] = field(default_factory=dict)
    """By the name of the flag, which the parser has."""


def compare(benchmark: Benchmark, parser: argparse.ArgumentParser) -> None:
    """Run the benchmark from the command line: print a table; exit with 1 where the sides' values differ."""
    parser.add_argument("--side", choices=[*benchmark.sides, *benchmark.optional], help=argparse.SUPPRESS)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each side, by turns")
    options = parser.parse_args()
    sides = dict(benchmark.sides) | _optional_sides(benchmark, options, parser)
    if options.side:
        measurement = sides[options.side](options)
        print(json.dumps(asdict(measurement) | peak_memory_mib()))
        return
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
    for _ in range(options.repeats):
        for name in sides:
            runs[name].append(_child(name))
    differ = _difference({name: runs[name] for name in benchmark.sides})
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


def _optional_sides(
    benchmark: Benchmark, options: argparse.Namespace, parser: argparse.ArgumentParser
) -> dict[str, Side]:
    """Those that are asked for. Ends the program where one of them cannot run."""
    sides = {name: side for name, side in benchmark.optional.items() if getattr(options, name)}
    try:
        for side in sides.values():
            side.check()
    except InputError as error:
        parser.error(str(error))
    return {name: side.run for name, side in sides.items()}


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
    lines += _remarks(benchmark, runs)
    repeats = len(next(iter(runs.values())))
    return "\n".join([*lines, f"Median of {repeats} runs a side, by turns; {machine_now()}"])


def _remarks(benchmark: Benchmark, runs: Mapping[str, list[dict[str, Any]]]) -> list[str]:
    """What the table has no column for: how long a side took to start, how many units of an optional one are equal."""
    first, *compared = runs
    lines = []
    for name in compared:
        starts = [run["start_seconds"] for run in runs[name] if run.get("start_seconds") is not None]
        if starts:
            lines.append(f"{name}: started in {median_and_range(starts, 1)} s, which the table leaves out")
        if name in benchmark.optional:
            pairs = zip(_units(runs[name][0]), _units(runs[first][0]), strict=True)
            equal = sum(values == reference for values, reference in pairs)
            lines.append(f"{name}: {equal} of {runs[name][0]['work']} {benchmark.unit}s equal to {first}'s")
    return lines


def _units(run: Mapping[str, Any]) -> list[list[float]]:
    """The values of each unit of work."""
    size = len(run["values"]) // run["work"]
    return [run["values"][start : start + size] for start in range(0, len(run["values"]), size)]
