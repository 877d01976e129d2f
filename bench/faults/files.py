"""2,000 fuzzed files of every loader: read, or refused by a message that names the file; no traceback, hang or loss."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from bench.faults import Findings, Trial
from bench.faults.fuzz.cases import COMMAND_LINE, SECONDS, SETTINGS, Case, judged, loaders

CASES = {"small": 50, "full": 2000}
_EXAMPLES = 3

TEXT = f"""
Each case is drawn from a seed, the loader's name and its number. One file of a sound input is changed: its values (a
field absent, null, of another type, nested, huge, NaN, twice, renamed, of every kind of Unicode), its bytes (cut,
flipped, left out, repeated, recoded, other line ends, quotes and delimiters, another format), or it is no file at all
(empty, a folder, a FIFO, a device, a loop of links, absent, unreadable). It is read in a process of its own, in at most
{SECONDS} seconds and 12 GiB.

Read: what came of every row was counted: rows read and rows rejected are all rows, and, where code of another kind
can count them (JSON, JSON Lines, Parquet), as many as the file has. Refused: by an error that names the file. Anything
else is a fault: any other exception, a hang, a crash, a row without a line. `python -m bench.faults.fuzz.cases LOADER
NUMBER --show` runs one case again.
"""
UNREACHED = (
    "Rows of CSV are not counted by other code: where quotes are damaged nothing says what a row was.",
    "What is damaged and still well-formed (a word of a text, a weight's bits) is read as it is, where no hash tells.",
    "Formats that transformers reads by itself beyond config.json, tokenizer files and safetensors; FAISS's files.",
    "Tasks of lm-evaluation-harness and data from the hub, which other libraries read.",
)


def measure(trial: Trial) -> Findings:
    """Run every loader's cases, those of a loader at once, and count the verdicts."""
    cases = CASES[trial.scale]
    results = {
        name: [Case(**case) for case in trial.once(f"loader-{number}", partial(judged_once, name, cases))]
        for number, name in enumerate(name for name in loaders() if name not in (SETTINGS, COMMAND_LINE))
    }
    together = [case for judged_cases in results.values() for case in judged_cases]
    return Findings(
        title="Damaged and unusual files",
        text=TEXT,
        columns=("loader", "files", "read", "refused", "faults"),
        rows=tuple(row(name, judged_cases) for name, judged_cases in {**results, "together": together}.items()),
        faults=tuple(faults_of(results)),
        unreached=UNREACHED,
    )


def judged_once(name: str, cases: int) -> list[dict[str, Any]]:
    """The cases of a loader; of those that are no fault without the message."""
    return [asdict(case) | ({} if case.verdict == "bug" else {"detail": ""}) for case in judged(name, 0, cases)]


def row(name: str, cases: Sequence[Case]) -> tuple[str, ...]:
    """How many cases of each verdict there are."""
    counts = Counter(case.verdict for case in cases)
    return (name, *(f"{number:,}" for number in (len(cases), counts["read"], counts["refused"], counts["bug"])))


def faults_of(results: Mapping[str, Sequence[Case]]) -> list[str]:
    """A sentence for each kind of fault of each loader, with the numbers of its first cases."""
    sentences = []
    for name, cases in results.items():
        kinds: dict[str, list[Case]] = {}
        for case in cases:
            if case.verdict == "bug":
                kinds.setdefault(case.reason, []).append(case)
        for reason, examples in kinds.items():
            numbers = ", ".join(str(case.index) for case in examples[:_EXAMPLES])
            sentences.append(
                f"{name}: {reason}: {len(examples)} of {len(cases)} (cases {numbers}; {examples[0].change})"
            )
    return sentences
