"""The folder that is handed over: a PEFT adapter, and beside it what tells what it does and lets it be scored again.

adapter_config.json, adapter_model.safetensors, edit.json    the edit, where PEFT and vLLM look for it
scope.json           the prompts that it is in force near, where it has a scope
README.md            the model card
facts.jsonl          the facts, as `errata fix` reads them
report/index.html    the page of the run
errata/run.json      what it was made with, and what was measured
errata/base/         which model was edited: the manifest of stage base
errata/scores/       the tables that the numbers were computed from
.run/                the folder that the pipeline ran in: may be removed, and nothing else reads it
.earlier/            what the folder held before it was changed (`errata undo`)
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lib.core.errors import InputError
from lib.core.files import put_in_place, read_object, write_json
from lib.core.params import Model, Scoring, check
from lib.core.records import Request
from lib.core.section import Section
from lib.edits.adapter import CONFIG
from lib.edits.store import CONTEXTS, INFO, NOTES, SCOPE

CARD, FACTS, PAGE = "README.md", "facts.jsonl", "report/index.html"
_INSIDE, _RUN = "errata", ".run"
_EARLIER = ".earlier"
_STAYS = {_RUN, _EARLIER}


class RunInfo(Section):
    """What an edit was made with, and what was measured: errata/run.json."""

    made_by: str
    """The command, in words: `fix`, `add`, `merge`, `remove`."""
    date: str
    """ISO 8601, to the day."""
    model: Mapping[str, Any]
    """The values of the model's preset."""
    params: Mapping[str, Any]
    """The values of params.yaml."""
    settings: Sequence[str]
    """What differs in it from the repository's, as `dvc exp run -S` takes it."""
    versions: Mapping[str, str]
    headline: Mapping[str, Any]
    """As in metrics/evaluate.json."""
    sessions: Sequence[Sequence[str]]
    """The ids of the facts that were trained together, in the order in which they were; one fact may be in several."""

    @property
    def facts(self) -> int:
        """The number of facts, each once."""
        return len({request_id for session in self.sessions for request_id in session})

    @property
    def preset(self) -> Model:
        """The model's preset, checked, without the recipe of the objective held.

        The recipe is a record of how the edit was trained, and other versions of Errata have others.
        """
        train = self.model.get("train")
        train = {**train, "held": None} if isinstance(train, dict) else train
        return check({**self.model, "train": train}, Model, "errata/run.json: model")

    @property
    def scoring(self) -> Scoring:
        """How it was scored, checked."""
        return check(self.params.get("score"), Scoring, "errata/run.json: params.score")


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """The paths of one such folder."""

    folder: Path

    @property
    def base(self) -> Path:
        """As lib.models.loading takes it."""
        return self.folder / _INSIDE / "base"

    @property
    def scores(self) -> Path:
        """The folder of the tables."""
        return self.folder / _INSIDE / "scores"

    @property
    def workspace(self) -> Path:
        """Where the pipeline ran."""
        return self.folder / _RUN

    @property
    def page(self) -> Path:
        """The report; absent where an edit is a sum of others."""
        return self.folder / PAGE

    @property
    def card(self) -> Path:
        return self.folder / CARD

    @property
    def facts(self) -> Path:
        return self.folder / FACTS

    @property
    def is_adapter(self) -> bool:
        """Whether the edit is a PEFT adapter; else Errata alone applies it."""
        return (self.folder / CONFIG).is_file()

    @property
    def is_scoped(self) -> bool:
        """Whether the edit is in force for prompts near its facts alone."""
        return (self.folder / SCOPE).is_file()

    @property
    def is_text(self) -> bool:
        """Whether the edit is text that goes before prompts: contexts or notes."""
        return self.is_in_context or (self.folder / NOTES).is_file()

    @property
    def is_in_context(self) -> bool:
        """Whether every fact has a text of its own, so that whoever asks has to name the fact."""
        return (self.folder / CONTEXTS).is_file()

    def exists(self) -> bool:
        """Whether the folder holds a finished edit: run.json is written last."""
        return (self.folder / _INSIDE / "run.json").is_file() and (self.folder / INFO).is_file()

    def check(self) -> None:
        """Raise InputError where the folder is none that `errata` has written."""
        if not self.exists():
            raise InputError(
                f"{self.folder}: wanted a folder that `errata fix` has written, with errata/run.json and {INFO}; found "
                "none. Name another, or make one: errata fix FACTS --model NAME --to FOLDER"
            )

    def info(self) -> RunInfo:
        """What it was made with. Raises InputError as `check` does."""
        self.check()
        path = self.folder / _INSIDE / "run.json"
        return check(read_object(path), RunInfo, str(path))

    def write_info(self, info: RunInfo) -> None:
        """Write run.json, which makes the folder a finished one."""
        write_json(self.folder / _INSIDE / "run.json", info.model_dump())

    def set_aside(self) -> None:
        """Move what the folder holds under .earlier/, where `take_back` finds it; nothing where it holds no edit."""
        if not self.exists():
            return
        target = self.folder / _EARLIER / f"{len(self.earlier()):04d}"
        target.mkdir(parents=True)
        for path in [path for path in self.folder.iterdir() if path.name not in _STAYS]:
            put_in_place(path, target / path.name)

    def earlier(self) -> list[Path]:
        """What the folder held before each change, the oldest first."""
        return sorted((self.folder / _EARLIER).glob("*"))

    def take_back(self) -> None:
        """Put back what the folder held before its last change. Raises InputError where there was none."""
        if not (folders := self.earlier()):
            raise InputError(
                f"{self.folder}: wanted an earlier state to go back to; found none, this is the first. The model "
                "itself was never changed: leave the folder away, and it answers as before"
            )
        for path in [path for path in self.folder.iterdir() if path.name not in _STAYS]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in list(folders[-1].iterdir()):
            put_in_place(path, self.folder / path.name)
        folders[-1].rmdir()


def row_of(request: Request) -> dict[str, Any]:
    """A fact as a line of a file of own facts; what is not there is left out."""
    values = {
        "id": request.request_id,
        "prompt": request.prompt,
        "target_new": request.target_new,
        "subject": request.subject,
        "target_true": request.target_true,
        "relation": request.relation,
        "join": request.separator,
        "train_paraphrases": list(request.train_paraphrases),
        "paraphrases": list(request.paraphrases),
        "locality": [asdict(prompt) for prompt in request.locality],
    }
    return {name: value for name, value in values.items() if value not in (None, [])}


def write_facts(path: Path, requests: Sequence[Request]) -> None:
    """The facts as JSON Lines, which lib.datasets.own reads."""
    lines = [json.dumps(row_of(request), ensure_ascii=False, sort_keys=True) for request in requests]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
