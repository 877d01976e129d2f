"""What the tests of editors mend and ke share: facts to learn from, and a training of seconds."""

from pathlib import Path
from types import ModuleType
from typing import Any

from lib.core.records import Fact
from lib.editors import ke, mend
from tests.helpers.baselines import context, settings
from tests.helpers.models import byte_tokenizer

NAMES = {"mend": mend, "ke": ke}
QUICK = {"layers": 2, "hidden": 1, "steps": 3, "batch_size": 2, "locality": 2, "validation": 0.3, "validation_cases": 2,
         "validation_steps": 2, "patience": 5}  # fmt: skip
POOL = [
    Fact(
        fact_id=f"{number}/{template}", subject=name, relation="home", prompt=template.replace("{}", name), target=home
    )
    for number, (name, home) in enumerate(
        [("Dan", "Riga"), ("Eva Lo", "Oslo"), ("Fay", "Bern"), ("Gus", "Lima"), ("Hal", "Rome"), ("Ida", "Nice")]
    )
    for template in ("{} lives in", "the home of {} is")
]


def quick(name: str, **changed: Any) -> Any:
    return settings(NAMES[name], name, **QUICK | {"mend": {"rank": 4}, "ke": {"condition": 4}}[name] | changed)


def trained(name: str, model: Any, folder: Path, **changed: Any) -> dict[str, float]:
    editor: ModuleType = NAMES[name]
    figures: dict[str, float] = editor.train_hypernet(
        model, byte_tokenizer(), POOL, quick(name, **changed), context(), folder
    )
    return figures
