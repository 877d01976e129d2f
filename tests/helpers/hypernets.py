"""What the tests of editors mend, ke and rledit share: facts to learn from, and a training of seconds."""

from pathlib import Path
from types import ModuleType
from typing import Any

from lib.core.records import Fact
from lib.editors import ke, mend, rledit
from lib.methods.context import Context
from tests.helpers.baselines import context, settings
from tests.helpers.models import byte_tokenizer

NAMES = {"mend": mend, "ke": ke}
"""Editors whose network makes an update of each edit by itself."""
EDITORS: dict[str, ModuleType] = NAMES | {"rledit": rledit}
QUICK = {"layers": 2, "hidden": 1, "steps": 3, "batch_size": 2, "locality": 2, "validation": 0.3, "validation_cases": 2,
         "validation_steps": 2, "patience": 5}  # fmt: skip
OWN: dict[str, dict[str, Any]] = {
    "mend": QUICK | {"rank": 4},
    "ke": QUICK | {"condition": 4},
    "rledit": {"down": [1], "rate": 2e-3, "rank": 4, "blocks": 2, "streams": 2, "turns": 2, "batch_size": 2,
               "locality": 2, "lr": 1e-3, "validation": 0.3, "validation_turns": 2},
}  # fmt: skip
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
    return settings(EDITORS[name], name, **OWN[name] | changed)


def trained(
    name: str, model: Any, folder: Path, own_context: Context | None = None, **changed: Any
) -> dict[str, float]:
    figures: dict[str, float] = EDITORS[name].train_hypernet(
        model, byte_tokenizer(), POOL, quick(name, **changed), own_context or context(), folder
    )
    return figures
