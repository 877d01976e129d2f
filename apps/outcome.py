"""How an edit is told when it is finished: the verdict, five texts before and after, and where everything lies."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from lib.core.records import Reject
from lib.handover.bundle import Bundle, RunInfo
from lib.handover.judging import ScoreFiles, examples_of
from lib.metrics.examples import AnswerExample
from lib.metrics.verdict import harms_elsewhere, verdict
from lib.report.headline import terminal_lines

_TOLD = 5
_SCOPED = (
    "the same command with -S scope.encoder=minilm and another folder: in force near its facts alone, and trained "
    "already (docs/methods/scope.md)"
)


@dataclass(frozen=True, kw_only=True)
class FinishedEdit:
    """A finished edit."""

    bundle: Bundle
    info: RunInfo
    examples: Sequence[AnswerExample]
    """Every edit, failures first."""
    rejects: Sequence[Reject] = ()

    @property
    def is_safe(self) -> bool:
        """Whether the verdict is `safe`."""
        return verdict(self.info.headline).word == "safe"


def outcome_of(bundle: Bundle, rejects: Sequence[Reject] = ()) -> FinishedEdit:
    """What the folder holds. Raises InputError where it holds no edit."""
    files = ScoreFiles(folder=bundle.scores)
    return FinishedEdit(bundle=bundle, info=bundle.info(), examples=examples_of(files, files), rejects=rejects)


def as_json(outcome: FinishedEdit) -> dict[str, Any]:
    """The same for programs."""
    judged = verdict(outcome.info.headline)
    bundle = outcome.bundle
    return {
        "verdict": judged.word,
        "safe": outcome.is_safe,
        "reasons": list(judged.reasons),
        "unmeasured": list(judged.unmeasured),
        "headline": dict(outcome.info.headline),
        "texts": [asdict(example) for example in outcome.examples],
        "rejects": [asdict(reject) for reject in outcome.rejects],
        "adapter": str(bundle.folder),
        "page": str(bundle.page) if bundle.page.is_file() else None,
        "card": str(bundle.card),
    }


def tell(outcome: FinishedEdit, console: Console) -> None:
    """Print the outcome for a person."""
    bundle = outcome.bundle
    for line in terminal_lines(outcome.info.headline):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print()
    console.print(texts_table(outcome.examples, "what the model writes"))
    console.print()
    page = bundle.page if bundle.page.is_file() else "none: the edit is a sum; its texts are in errata/scores"
    folder, fact = bundle.folder, " --fact ID" if bundle.is_in_context else ""
    ask = f'errata ask "{outcome.examples[0].prompt}" --edit {folder}{fact}' if outcome.examples else ""
    kind = "adapter" if bundle.is_adapter else "edit"
    lines = {kind: folder, "page": page, "card": bundle.card, "try it": ask, "serve it": f"errata serve {folder}{fact}"}
    if could_be_scoped(outcome):
        lines["less harm"] = _SCOPED
    for name, value in lines.items():
        console.print(f"{name:<9} {value}", markup=False, highlight=False, soft_wrap=True)


def could_be_scoped(outcome: FinishedEdit) -> bool:
    """Whether the same edit in force near its facts alone would leave alone what it has harmed."""
    made_anew = outcome.info.made_by == "fix" and outcome.bundle.is_adapter and not outcome.bundle.is_scoped
    return made_anew and harms_elsewhere(outcome.info.headline)


def texts_table(examples: Sequence[AnswerExample], title: str) -> Table:
    """Five edits with the text before and after, failures first."""
    failures = sum(example.took is False for example in examples)
    table = Table(title=f"{title}: {min(_TOLD, len(examples))} of {len(examples)} edits, {failures} did not take")
    for name in ("prompt", "wanted", "before", "after"):
        table.add_column(name, overflow="fold", ratio=1 if name == "wanted" else 2)
    for example in examples[:_TOLD]:
        mark = "" if example.took is not False else f" [{example.why_not}]"
        cells = [example.prompt, example.target_new, example.before, f"{example.after or ''}{mark}"]
        table.add_row(*(plain(cell) for cell in cells), style="bold" if mark else None)
    return table


def plain(text: str | None) -> str:
    """A text in one line, without what rich would take for markup."""
    return " ".join((text or "").split()).replace("[", "\\[") or "(nothing)"
