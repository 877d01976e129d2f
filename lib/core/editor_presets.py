"""configs/editors/<name>.yaml: settings that depend on the model are keyed by its shape, not by what it is called.

A key that is `auto` in the preset takes the value of `models.<shape>`, where the model has a shape that the preset
knows (published settings, or tried ones), else that of `otherwise`; where neither has it, `auto` stays and the editor's
own rule decides (a share of the depth, for layers). A value in place of `auto` stays, whatever the model is.

`models.<shape>: null` is a known model for which nothing is published: a key that only the editor's own rule would
decide is then an error that says what to set.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib.core import params
from lib.core.errors import InputError
from lib.core.params import PRESETS
from lib.core.section import S, check, did_you_mean

MODELS, OTHERWISE, AUTO = "models", "otherwise", "auto"
_SHAPE = re.compile(r"(?P<coarse>[a-z][a-z0-9_]*-[1-9]\d*-[1-9]\d*)(-[1-9]\d*)?")

Values = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Where the value of one key that is `auto` in the preset comes from."""

    key: str
    """Names on the way down joined by dots."""
    value: Any
    source: str


def shape_name(model_type: str, layers: int, hidden: int, inner: int | None = None) -> str:
    """A shape as presets spell it: model_type-layers-hidden, from the model's config; then the MLP's inner size, where
    the config names it.
    """
    return f"{model_type}-{layers}-{hidden}" if inner is None else f"{model_type}-{layers}-{hidden}-{inner}"


def entry_for(models: Mapping[str, Any], shape: str | None) -> str | None:
    """The key of `models` that a model of this shape takes: its own, else that without the MLP's inner size."""
    match = _SHAPE.fullmatch(shape or "")
    coarse = match["coarse"] if match else None
    return next((name for name in (shape, coarse) if name in models), None)


def editor_preset(name: str, shape: str | None, kind: type[S]) -> S:
    """The editor's settings for a model of this shape, checked; `None` is a shape that no preset knows.

    Raises InputError naming a key that is wrong, wherever in the preset it stands.
    """
    values, choices = _resolved(name, shape)
    entry = entry_for(_parts(name)[1], shape)
    taken = any(choice.source == _from_table(name, entry) for choice in choices)
    return check(values, kind, f"configs/editors/{name}.yaml{f': {MODELS}.{entry}' if taken else ''}")


def check_preset(name: str, kind: type[S]) -> None:
    """Raise InputError where the preset does not fit the editor, for any shape that it has values for, or another."""
    for shape in (None, *(shape for shape, entry in _parts(name)[1].items() if entry is not None)):
        editor_preset(name, shape, kind)


def choices_for(name: str, shape: str | None) -> list[Choice]:
    """For every key that is `auto` in the preset: what a model of this shape takes, and from where."""
    return _resolved(name, shape)[1]


def explained(name: str, shape: str) -> list[str]:
    """What a model of this shape takes and why, a line for each source; nothing where no key is `auto`."""
    sources: dict[str, list[str]] = {}
    for choice in choices_for(name, shape):
        value = "" if choice.value == AUTO else f" {choice.value}"
        sources.setdefault(choice.source, []).append(f"{choice.key}{value}")
    return [f"editor {name}: {', '.join(settings)}: {source}" for source, settings in sources.items()]


def resolved(content: Values, name: str, shape: str | None) -> tuple[dict[str, Any], list[Choice]]:
    """The settings that the preset `content` of editor `name` has for a model of this shape, and where each is from.

    Raises InputError naming a key that is wrong, or one that is left open where nothing is published.
    """
    values, models, otherwise = _split(content, name)
    entry = entry_for(models, shape)
    own = models[entry] if entry else {}
    choices = list(_choices(values, own or {}, otherwise, name, entry or shape))
    if own is None:
        _refuse_rules(choices, name, str(entry))
    return _with_choices(values, {choice.key: choice.value for choice in choices}), choices


def _refuse_rules(choices: Sequence[Choice], name: str, entry: str) -> None:
    """Raise InputError where a key is left to the editor's own rule: nothing is published for the shape `entry`."""
    if undecided := [choice.key for choice in choices if choice.value == AUTO]:
        settings = " ".join(f"-S configs/editors/{name}.yaml:{key}=..." for key in undecided)
        raise InputError(
            f"editor {name}: nothing is published for models of the shape {entry}, so {', '.join(undecided)} must be "
            f"chosen; found auto. `python -m apps.locate` finds layers; try values on validation edits "
            f"(-S facts.split=validation), then: {settings}"
        )


def _resolved(name: str, shape: str | None) -> tuple[dict[str, Any], list[Choice]]:
    return resolved(_content(name), name, shape)


def _parts(name: str) -> tuple[dict[str, Any], dict[str, Values | None], Values]:
    return _split(_content(name), name)


def _content(name: str) -> dict[str, Any]:
    """What the preset's file holds. Raises InputError with the nearest name where there is none."""
    path = PRESETS / "editors" / f"{name}.yaml"
    if not path.is_file():
        available = params.presets("editors")
        near = did_you_mean(name, available)
        raise InputError(f"editor: wanted one of {', '.join(available)}; found {name!r}{near}")
    return dict(params.read_params(path))


def _split(content: Values, name: str) -> tuple[dict[str, Any], dict[str, Values | None], Values]:
    """The preset's own keys, its entries by shape (None: nothing published), and what it has for every other shape."""
    values = dict(content)
    models, otherwise = values.pop(MODELS, {}) or {}, values.pop(OTHERWISE, {}) or {}
    _check_mapping(models, f"configs/editors/{name}.yaml: {MODELS}")
    for shape in models:
        if not _SHAPE.fullmatch(str(shape)):
            raise InputError(
                f"configs/editors/{name}.yaml: {MODELS}: wanted shapes of models, model_type-layers-hidden (and "
                f"-inner), such as gpt2-48-1600 for GPT-2 XL; found {shape!r}"
            )
    for part, entry in ((OTHERWISE, otherwise), *((f"{MODELS}.{shape}", entry) for shape, entry in models.items())):
        _check_keys(values, {} if entry is None else entry, f"configs/editors/{name}.yaml: {part}")
    return values, models, otherwise


def _check_mapping(entry: Any, where: str) -> None:
    """Raise InputError unless an entry is one of keys with values."""
    if not isinstance(entry, Mapping):
        raise InputError(f"{where}: wanted keys with values; found {str(entry)[:80]!r}")


def _check_keys(values: Values, entry: Values, where: str) -> None:
    """Raise InputError where an entry is no mapping, or sets a key that the preset itself does not have."""
    _check_mapping(entry, where)
    for key, value in entry.items():
        if key not in values:
            raise InputError(
                f"{where}.{key}: unknown key{did_you_mean(str(key), list(values))} (known: {', '.join(values)})"
            )
        if isinstance(values[key], Mapping):
            _check_keys(values[key], value, f"{where}.{key}")


def _choices(
    values: Values, own: Values, otherwise: Values, name: str, shape: str | None, above: str = ""
) -> Iterator[Choice]:
    for key, value in values.items():
        path = f"{above}{key}"
        if isinstance(value, Mapping):
            yield from _choices(value, own.get(key, {}), otherwise.get(key, {}), name, shape, f"{path}.")
        elif value == AUTO and key in own:
            yield Choice(key=path, value=own[key], source=_from_table(name, shape))
        elif value == AUTO:
            rule = "its section otherwise" if key in otherwise else "the editor's own rule"
            source = f"configs/editors/{name}.yaml names none for models of the shape {shape}; {rule} holds"
            yield Choice(key=path, value=otherwise.get(key, AUTO), source=source)


def _from_table(name: str, shape: str | None) -> str:
    return f"configs/editors/{name}.yaml has them for models of the shape {shape}"


def _with_choices(values: Values, resolved: Values, above: str = "") -> dict[str, Any]:
    return {
        key: _with_choices(value, resolved, f"{above}{key}.")
        if isinstance(value, Mapping)
        else resolved.get(f"{above}{key}", value)
        for key, value in values.items()
    }
