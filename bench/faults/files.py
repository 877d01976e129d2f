"""2,000 fuzzed files of every loader: read, or refused by a message that names the file; no traceback, hang or loss.

`--seed` draws other cases, which get rows of their own, and `--cases` says how many.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from bench.faults import SEED, Findings, Trial
from bench.faults.fuzz.cases import COMMAND_LINE, SECONDS, SETTINGS, Case, judged, loaders

CASES = {"small": 50, "full": 2000}
_EXAMPLES = 3

MENDED = """
Found so, and mended: a GGUF file whose merges are no pairs ended with a traceback (108, 283); refusals named no file
where a GGUF file wants a BOS that it does not name (170), where a bit of an edit's or an adapter's weights makes them
infinite or NaN (edit 487, 998, 1057, 1366, 1896, 1968; PEFT adapter 362), and where a manifest names a conversion that
is not there, or none that can be (models/base 742, 903, 967, 1507, 1636, 1865, 1916); a Parquet file with the name of a
column, or a text, that is not UTF-8 ended with a traceback (a table between stages 815; articles 1526), one's own
Parquet files alike, which no case had met; an MQuAKE case without an edit (294), or with a chain that is no list of
facts, ended with a traceback; weights whose logits are NaN (model folder 393) were refused as those of a model that
caps its logits, without the folder. Of the code with these mended, 1,818 cases of the eight loaders that had them, the
cases that were faults and new ones, were without a fault. Of the next runs: a GGUF file without its number of blocks
(786) kept transformers busy with its own 32, which were then random; a wheel whose member is empty (1199) was refused
without its name, and a zip archive whose file has no name (1241, 1315, 1863) ended with a traceback; of an MQuAKE case
1.5 (1483, 1775) the line of case 1 was told, or a traceback. A refusal of notes whose encoder there is none of named a
setting in their place (19 cases, the first 154); the list of one's edits of another shape ended with a traceback, and a
leaderboard that is a pipe was waited for (found when these two loaders were added, in 150 cases each); a name in that
list that is too long was told without the list (9 cases, the first 293). A run.json whose recipe is null ended with a
traceback (seed 14, 80). After the mending the failing cases of the GGUF file, the wheel,
the zip archive and MQuAKE ran again, of the notes and the list of edits 1 of 19 and 2 of 9: all are refused by name, or
read. The others are of the same kinds, which tests hold, as they hold the run.json.

Found in reading, or on the way: metadata of a GGUF file that are of another type, tensors of an edit that do not fit
together, notes of an edit with an unknown key; records of WikiBigEdit whose number was another's case_id; and, worst,
weights that a model's folder or GGUF file lacks, which transformers drew at random: the model is now refused by their
names.
"""
TEXT = f"""
Each case is drawn from a seed, the loader's name and its number. One file of a sound input is changed: its values (a
field absent, null, of another type, nested, huge, NaN, twice, renamed, of every kind of Unicode), its bytes (cut,
flipped, left out, repeated, recoded, other line ends, quotes and delimiters, another format), or it is no file at all
(empty, a folder, a FIFO, a device, a loop of links, absent, unreadable). It is read in a process of its own, in at most
{SECONDS} seconds and 12 GiB.

Read: what came of every row was counted: rows read and rows rejected are all rows, and, where code of another kind
can count them (JSON, JSON Lines, Parquet), as many as the file has. Refused: by an error that names the file. Anything
else is a fault: any other exception, a hang, a crash, a row without a line. `python -m bench.faults.fuzz.cases LOADER
NUMBER --seed SEED --show` runs one case again. "7, mended": seven faults, of the kinds below.
{MENDED}"""
UNREACHED = (
    "Rows of CSV are not counted by other code: where quotes are damaged nothing says what a row was.",
    "What is damaged and still well-formed (a word of a text, a weight's bits) is read as it is, where no hash tells.",
    "Formats that transformers reads by itself beyond config.json, tokenizer files and safetensors; FAISS's files.",
    "Tasks of lm-evaluation-harness and data from the hub, which other libraries read.",
)


def measure(trial: Trial) -> Findings:
    """Run every loader's cases, those of a loader at once, and count the verdicts."""
    cases = trial.cases or CASES[trial.scale]
    names = [name for name in loaders() if name not in (SETTINGS, COMMAND_LINE)]
    results = {
        name: [
            Case(**case)
            for case in trial.once(
                f"loader-{number}-{trial.seed}-{cases}", partial(judged_once, name, cases, trial.seed)
            )
        ]
        for number, name in enumerate(names)
        if trial.asks_for(name)
    }
    return Findings(
        title="Damaged and unusual files",
        text=TEXT,
        columns=("loader", "seed", "files", "read", "refused", "faults"),
        rows=tuple((name, str(trial.seed), *row(name, judged_cases)[1:]) for name, judged_cases in results.items()),
        faults=tuple(faults_of({f"{name}, {trial.seed}": judged_cases for name, judged_cases in results.items()})),
        unreached=UNREACHED,
        key=2,
        order=tuple((name,) for name in names),
        total="together",
    )


def judged_once(name: str, cases: int, seed: int = SEED) -> list[dict[str, Any]]:
    """The cases of a loader; of those that are no fault without the message."""
    return [asdict(case) | ({} if case.verdict == "bug" else {"detail": ""}) for case in judged(name, 0, cases, seed)]


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
