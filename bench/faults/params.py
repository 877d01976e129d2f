"""1,500 fuzzed settings, in params.yaml and in presets: accepted, or refused by a message that names the key."""

from functools import partial

from bench.faults import Findings, Trial
from bench.faults.files import faults_of, judged_once, row
from bench.faults.fuzz.cases import COMMAND_LINE, SETTINGS, Case

CASES = {"small": 100, "full": 1500}
TEXT = f"""
params.yaml, or the preset of the model, the editor (ROME, which has settings for many models) or the dataset (one's
own facts), is changed: a value of another type, out of range, NaN, infinite, beyond 64 bits, with line ends, NUL or
5,000 letters, a list in place of a number, a key absent, renamed or twice, a combination of values that are each
possible elsewhere, and bytes as in the files above. Everything that stages do with settings before they work is done:
all of it is checked, presets are resolved for a model's shape, and stage facts reads its files with it.

The row `command line` is one of `errata fix` or `python -m apps.table`: settings as people type them and as rows are
written, with keys that do not exist, empty ones, other files, quotes, brackets, line ends, references, lists, one key
twice. Both programs' ways with them are gone, and each value must be the one that DVC's own parser reads, in both; no
other key and no other file may change.

Read: everything went through. Refused: by a message that names the file or the key. Anything else is a fault.
`python -m bench.faults.fuzz.cases {SETTINGS} NUMBER --show` (or "{COMMAND_LINE}") runs one case again.
"""
UNREACHED = (
    "What later stages make of settings that are possible by themselves: huge sizes, rates at which training ends in "
    "NaN, names of models, encoders, FAISS indexes and tasks, which the stage that loads them refuses.",
    "What `dvc exp run -S` itself takes beyond that: it is DVC's own command, and checks nothing before its stages do.",
)


def measure(trial: Trial) -> Findings:
    """Run the cases and count the verdicts by the file that is changed."""
    judged = trial.once(SETTINGS, partial(judged_once, SETTINGS, CASES[trial.scale]))
    cases = [Case(**case) for case in judged]
    files = sorted({case.change.partition(":")[0] for case in cases})
    by_file = {file: [case for case in cases if case.change.startswith(f"{file}:")] for file in files}
    typed = trial.once("command-line", partial(judged_once, COMMAND_LINE, CASES[trial.scale]))
    by_file[COMMAND_LINE] = [Case(**case) for case in typed]
    cases += by_file[COMMAND_LINE]
    return Findings(
        title="Wrong and unusual settings",
        text=TEXT,
        columns=("file", "cases", "read", "refused", "faults"),
        rows=tuple(row(name, group) for name, group in {**by_file, "together": cases}.items()),
        faults=tuple(faults_of({SETTINGS: cases})),
        unreached=UNREACHED,
    )
