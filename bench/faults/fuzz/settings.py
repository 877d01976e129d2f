"""Fuzzed settings: params.yaml and the presets that it names, each read by everything that looks at them early."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any, get_args
from unittest import mock

from bench.faults.fuzz import mutations
from bench.faults.fuzz.cases import SETTINGS, Loader
from lib import datasets, editors
from lib.core import editor_presets, params
from lib.core.params import PRESETS, ROOT, Dataset, Model, read_params
from lib.core.root import Params, read_root
from lib.core.section import Section, nested
from lib.data import dataset, edits

_FILES = {
    "params.yaml": ROOT / "params.yaml",
    "model.yaml": PRESETS / "models" / "smollm2-135m.yaml",
    "editor.yaml": PRESETS / "editors" / "rome.yaml",
    "dataset.yaml": PRESETS / "datasets" / "own.yaml",
}
_NUMBERS = (0, 1, -1, 2, 3, 0.0, 0.5, 1.0, -0.5, 1e-320, 1e308, 2**31, 2**63 - 1, 2**64)
_TEXTS = (
    "auto",
    "none",
    "null",
    "",
    " ",
    "a\nb",
    "Flat",
    "IVF4,Flat",
    "x" * 5000,
    "../..",
    "~/a",
    "/dev/zero",
    "a\tb",
    "0",
    "é",
)
_SHAPE = "llama-30-576-1536"


def words(kind: type[Section]) -> Iterator[str]:
    """Every text that a field of the section, or of one in it, may be chosen to be."""
    for field in kind.model_fields.values():
        inner = nested(field.annotation)
        if inner is not None:
            yield from words(inner)
        for member in (field.annotation, *get_args(field.annotation)):
            yield from (word for word in get_args(member) if isinstance(word, str))


_WORDS = tuple(
    dict.fromkeys((*words(Params), *words(Model), *words(Dataset), *_TEXTS, "world", "counterfact", "tiny", "own"))
)


def encode(name: str, values: Any, random: Random) -> bytes:
    """YAML, in half of the cases with a few settings more that are each possible somewhere."""
    paths = [path for path in mutations.places(values) if not isinstance(_at(values, path), dict | list)]
    for _ in range(random.choice((0, 0, 1, 2, 4)) if paths else 0):
        path = random.choice(paths)
        choices: tuple[Any, ...] = (
            random.choice(_WORDS),
            random.choice(_NUMBERS),
            random.choice((True, False)),
            None,
            [random.choice(_NUMBERS)],
            [],
        )
        _at(values, path[:-1])[path[-1]] = random.choice(choices)
    return json.dumps(values, indent=1).encode()


def _at(values: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        values = values[key]
    return values


def _read(folder: Path) -> None:
    """What the stages do with settings before they work: all are read, and everything that is cheap is tried."""
    with _settings_of(folder):
        root = read_root()
        editors.check_preset(root.editor)
        editor_presets.explained(root.editor, _SHAPE)
        model, values = params.preset("models", root.model, Model), params.preset("datasets", root.dataset, Dataset)
        own = params.with_pool(root.own, model)
        train = params.with_recipe(root.train, model.train)
        (
            params.with_method(root.para, train),
            params.with_held_lora(model, train),
            params.step_limits(root.train, model.train),
        )
        _facts(root, values, own)
        params.presets_in_use(params.read_params(params.PARAMS_FILE))


def _facts(root: Params, values: Dataset, own: params.Own) -> None:
    """Stage facts, but for what it writes."""
    files = datasets.find(values, root.facts, own)
    paths = {role: file.path for role, file in files.items()}
    loaded = edits.checked(datasets.load(values.loader, paths, root.facts, values, own)).loaded
    dataset.check(loaded, root.facts.max_reject_share, Path("rejects.parquet"))
    dataset.check_pool(loaded, root.dataset, root.facts.edits, own.pool, root.neighbors)


_READ = params.read_params


def _read_params(path: Path | None = None, *, default: Path) -> dict[str, Any]:
    """As read_params, which reads params.yaml of the repository by default."""
    return _READ(path or default)


@contextmanager
def _settings_of(folder: Path) -> Iterator[None]:
    """Within it, params.yaml and presets are those of `folder`; presets that it does not have are the repository's."""
    presets = folder / "configs"
    for path in PRESETS.rglob("*.yaml"):
        copy = presets / path.relative_to(PRESETS)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.symlink_to(path)
    for name, path in _FILES.items():
        if name != "params.yaml":
            target = presets / path.parent.name / path.name
            target.unlink()
            target.symlink_to(folder / name)
    with (
        mock.patch.object(params, "PARAMS_FILE", folder / "params.yaml"),
        mock.patch.object(params, "PRESETS", presets),
        mock.patch.object(editor_presets, "PRESETS", presets),
        mock.patch.object(params, "read_params", cache(partial(_read_params, default=folder / "params.yaml"))),
    ):
        yield


_VALUES = {name: dict(read_params(path)) for name, path in _FILES.items()}
_VALUES["params.yaml"] |= {"dataset": "own", "editor": "rome"}
_VALUES["params.yaml"]["own"] |= {"pool": "none"}  # that of the almanac takes a second
_VALUES["params.yaml"]["neighbors"] |= {"kind": "none"}
LOADERS = (
    Loader(
        name=SETTINGS,
        files={name: json.dumps(values, indent=1).encode() for name, values in _VALUES.items()},
        values=_VALUES,
        encode=encode,
        read=_read,
        named_by=("configs/", *_VALUES["params.yaml"]),
    ),
)
