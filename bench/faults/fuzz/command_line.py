"""Fuzzed `-S key=value`: what apps.table and errata fix make of a command line before any work, held to DVC's parser.

A case's file holds the arguments of one command line, a NUL between two, since no argument can have one.
"""

import json
import os
from pathlib import Path
from random import Random
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType

from bench.faults.fuzz import mutations
from bench.faults.fuzz.cases import COMMAND_LINE, Loader, RowCount
from lib.core.errors import InputError
from lib.experiments.overrides import ABSENT, PARAMS, by_file, distinct, literal, overridden, values_of
from lib.handover.workspace import apply_settings

PRESET = "configs/models/small.yaml"
_TEXTS = {
    PARAMS: {
        "dataset": "own", "seed": 0, "own": {"path": "a.csv", "pool": "auto"},
        "para": {"model": None, "n": 10, "temperature": 1.0, "prefix_tokens": [5, 10]},
        "train": {"lr": "auto", "mask_prompt": True, "dpo": 0.0}, "score": {"greedy": {"limit": None, "tokens": 12}},
    },
    PRESET: {"source": "hub", "name": "a/b", "revision": None, "lora": {"r": 8, "targets": ["q_proj"]}},
}  # fmt: skip
_SOUND = (
    ("train.lr", 0.001), ("para.n", 15), ("own.path", "my facts.csv"), ("para.prefix_tokens", [3]),
    ("train.mask_prompt", False), ("score.greedy.limit", None), (f"{PRESET}:lora.r", 4), (f"{PRESET}:name", "c/d"),
)  # fmt: skip
_KEYS = (
    "train.lr", "para.n", "own.path", "dataset", "score.greedy.limit", "score.greedy", "train", "nope", "train.nope",
    "", ".", "train.", ".lr", "train..lr", "train.lr.x", "para.prefix_tokens[0]", "para.prefix_tokens.0", "dataset@x",
    "+new", "++new", "~train.lr", "~train", "+train.lr", "train lr", "params.yaml:seed", "./params.yaml:seed",
    "../params.yaml:seed", "/etc/passwd:seed", "dvc.yaml:stages", "README.md:a", "nowhere.yaml:a", ":seed", "seed:",
    f"{PRESET}:lora.r", f"{PRESET}:", f"{PRESET}:nope", "configs/models/none.yaml:name", "configs:a", "C:\\x:a", "ключ",
    "hydra.run.dir", "--", "-S", "seed=1", "_target_", "__class__", "own.path",
)  # fmt: skip
_SPELLED = (
    "1", "1.5", "1e-5", "5e-05", "0x10", "1_000", "nan", "inf", "null", "None", "true", "True", "yes", "''", '""', "",
    " ", "a b", " a", "a=b", "a=b=c", "a,b", "1,2", "[1,2]", "[", "]", "[a", "{a:1}", "{a: {b: [1]}}", "{", "a:b", "'",
    '"', "'a", "\\", "a\\", "a\\'b", "$", "${seed}", "${oc.env:HOME}", "${oc.env:NOT_THERE}", "${nope}", "???", "#a",
    "a#b", "a\nb", "a\tb", "%", "!x", "&a", "*a", "@a", "`a`", "|", ">", "~", "~/a.csv", "range(1,3)", "choice(a,b)",
    "glob(*)", "str(1)", "int('1')", "sort(3,1)", "shuffle(a)", "json_str({})", "x" * 9000, "9" * 5000, "[" * 500,
    "é", "名前", "\u202e", "\u200b", "\ud800", "'${seed}'", "'a\\'b'", "\"a'b\"", "- a", "a: b", "0.0", "-1", "- 1",
)  # fmt: skip


def _encode(name: str, pairs: Any, random: Random) -> bytes | None:
    """The pairs as arguments, and a few odd ones among them, in half of the cases."""
    if not isinstance(pairs, list):
        return None
    settings = [_setting(pair, random) for pair in random.sample(pairs, min(len(pairs), random.choice((1, 2, 4))))]
    for _ in range(random.choice((0, 1, 1, 2))):
        key = random.choice((*_KEYS, *(key for key, _ in _SOUND)))
        separator = random.choice(("=", "=", "=", "=", "", " = ", "==", ":="))
        settings.insert(random.randrange(len(settings) + 1), f"{key}{separator}{random.choice(_SPELLED)}")
    return "\0".join(setting.replace("\0", "") for setting in settings).encode("utf-8", "surrogatepass")


def _setting(pair: Any, random: Random) -> str:
    """Spelled as a row's own changes are, or as people type it."""
    if not (isinstance(pair, list) and len(pair) == 2):
        return str(pair)
    key, value = pair
    try:
        return f"{key}={literal(value) if random.random() < 0.6 else value}"
    except RecursionError:
        return f"{key}="


def _read(folder: Path) -> RowCount:
    """Both ways that a command line goes; what it asks for is there afterwards, and nothing else has changed."""
    file = folder / _FILE
    arguments = os.fsdecode(file.read_bytes()).split("\0") if _is_plain(file) else []
    settings = distinct([argument for argument in arguments if argument])
    workspace = folder / "workspace"
    for path, values in _TEXTS.items():
        (workspace / path).parent.mkdir(parents=True, exist_ok=True)
        (workspace / path).write_text(json.dumps(values), encoding="utf-8")
    results = {}
    for path, overrides in by_file(settings).items():
        if path not in _TEXTS:
            raise InputError(f"-S {path}: wanted a file of the repository; found none")
        results[path] = overridden(json.dumps(_TEXTS[path]), overrides, path)
        _check_values(path, overrides, results[path])
    apply_settings(workspace, settings)
    for path in _TEXTS:
        written = values_of((workspace / path).read_text(encoding="utf-8"))
        if repr(written) != repr(results.get(path, _TEXTS[path])):
            raise AssertionError(f"{path}: errata fix writes {written}, apps.table {results.get(path)}")
    if strays := {str(path) for path in folder.rglob("*") if path.is_file()} - {
        str(folder / _FILE), *(str(workspace / path) for path in _TEXTS)
    }:  # fmt: skip
        raise AssertionError(f"files that nobody asked for: {strays}")
    return RowCount(rows=len(settings), lines=dict(enumerate(settings)), rejects=frozenset())


def _is_plain(file: Path) -> bool:
    """Whether it can be read: of what is no file there are no arguments."""
    return file.is_file() and os.access(file, os.R_OK)


def _check_values(path: str, overrides: list[str], result: dict[str, Any]) -> None:
    """Raise AssertionError where a value is not the one that DVC's parser reads, or another key has changed."""
    parsed = [(_key(override), override) for override in OverridesParser.create().parse_overrides(overrides)]
    for key, override in parsed:
        actual = _at(result, key)
        deleted = override.type is OverrideType.DEL
        expected = ABSENT if deleted else override.value()
        if not isinstance(expected, dict) and repr(actual) != repr(_plain(expected)):
            raise AssertionError(f"{path}: {override.input_line} is {actual!r}, for {expected!r}")
    touched = [key.split(".") for key, _ in parsed]
    for key_path in mutations.places(_TEXTS[path]):
        if not any(key[: len(key_path)] == [*map(str, key_path)] or [*map(str, key_path)][: len(key)] == key
                   for key in touched):  # fmt: skip
            key = ".".join(map(str, key_path))
            if not any(isinstance(part, int) for part in key_path) and _at(result, key) != _at(_TEXTS[path], key):
                raise AssertionError(f"{path}: {key} has changed, which nobody asked for")


def _key(override: Override) -> str:
    return str(override.key_or_group)


def _at(values: Any, key: str) -> Any:
    for name in key.split("."):
        if isinstance(values, list) and name.isdecimal() and int(name) < len(values):
            values = values[int(name)]
        elif isinstance(values, dict) and name in values:
            values = values[name]
        else:
            return ABSENT
    return values


def _plain(value: Any) -> Any:
    """A parsed value without the quotes that it was written in."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return getattr(value, "text", value)


_FILE = "settings"
_PAIRS = [[key, value] for key, value in _SOUND]
LOADERS = (
    Loader(
        name=COMMAND_LINE,
        files={_FILE: "\0".join(f"{key}={literal(value)}" for key, value in _SOUND).encode()},
        values={_FILE: _PAIRS},
        read=_read,
        encode=_encode,
        named_by=("-S", PARAMS, "configs/"),
    ),
)
