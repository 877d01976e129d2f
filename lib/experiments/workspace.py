"""What the rows of a table start from: the committed params.yaml and presets, whatever the workspace holds.

`dvc exp run` starts from the workspace, in which an earlier `-S` may have left its values. A planned run therefore sets
back, with changes of its own, what of params.yaml and its presets differs from HEAD, and its name carries a hash of all
values that it runs with.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from lib.core.errors import InputError
from lib.experiments.files import Experiments, Scale
from lib.experiments.overrides import PARAMS, by_file, differing, overridden, reset, values_of
from lib.experiments.repository import changed, committed, head, untracked

_DAG = "dvc.yaml"
_HASH_DIGITS = 6
_REFERENCE = re.compile(r"\$\{([^}]+)\}")


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One row with one seed."""

    name: str
    """Of its DVC experiment: file, row, seed and a hash of what it runs with."""
    changes: Sequence[str]
    """For `dvc exp run -S`: those that set the workspace's values back to HEAD's, then the row's."""
    values: Mapping[str, Mapping[str, Any]]
    """What params.yaml and the presets hold after them."""


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """The files of a repository as they lie here: the commit at HEAD, and where they differ from it."""

    root: Path
    commit: str
    """40 digits."""
    changed: Sequence[str]
    """Tracked files that are not as HEAD has them."""
    untracked: Sequence[str]
    """Files that git neither tracks nor ignores: no part of an experiment."""
    dag: Mapping[str, Any]
    """dvc.yaml."""

    @classmethod
    def of(cls, root: Path) -> "Workspace":
        """Those of the repository at `root`. Raises InputError where it has no commit."""
        dag = values_of((root / _DAG).read_text(encoding="utf-8"))
        return cls(root=root, commit=head(root), changed=changed(root), untracked=untracked(root), dag=dag)

    def resolved(self, changes: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The values of params.yaml, and of every preset it names or `changes` name, after these changes of HEAD's.

        Raises InputError where a change is none that these files take.
        """
        overrides = by_file(changes)
        params = overridden(self._text(PARAMS) or "{}", overrides.pop(PARAMS, []), PARAMS)
        values = {PARAMS: params}
        for path in sorted({*overrides, *_presets(self.dag, params)} - {PARAMS}):  # report depends on all of it
            if (text := self._text(path)) is not None:
                values[path] = overridden(text, overrides.get(path, []), path)
            elif path in overrides:
                raise InputError(f"-S {path}:{overrides[path][0]}: wanted a file of the repository; found none")
        return values

    def plan(
        self, table: Experiments, row: str, seed: int, settings: Sequence[str], scale: Scale = "paper"
    ) -> PlannedRun:
        """One run of the table's row. Raises InputError where a change is none that the files take."""
        changes = table.changes(row, seed, settings, scale)
        values = self.resolved(changes)
        code = {path: self._content(path) for path in self.uncommitted_code(values)}
        content = json.dumps([values, table.stage, code], sort_keys=True)
        digits = hashlib.sha256(content.encode()).hexdigest()[:_HASH_DIGITS]
        resets = [change for path in values for change in self._reset(path)]
        name = f"{table.slug(row, seed)}-{digits}"
        return PlannedRun(name=name, changes=[*resets, *changes], values=values)

    def uncommitted_code(self, values: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """The changed files that stages read and that no `-S` sets back: a row runs with them as they are."""
        read = _sources(self.dag, values[PARAMS])
        return [path for path in self.changed if path not in values and _is_under(path, read)]

    def differences(self, runs: Sequence[PlannedRun]) -> list[str]:
        """Where the workspace differs from what these runs start from, a sentence each."""
        lines = [line for path in _union(run.values for run in runs) for line in self._differing_values(path)]
        for path in _union(self.uncommitted_code(run.values) for run in runs):
            lines.append(f"{path} differs from HEAD: rows run with it as it is, under names of their own.")
        sources = set(_union(_sources(self.dag, run.values[PARAMS]) for run in runs))
        for path in self.untracked:
            if _is_under(path, sources):
                lines.append(f"{path} is not in git: rows run without it (`git add` it).")
        return lines

    def _differing_values(self, path: str) -> Iterator[str]:
        if path in self.changed and (text := committed(self.root, path)) is not None:
            for keys, value, at_head in differing(self._workspace_values(path), values_of(text)):
                yield f"{path}: {'.'.join(keys)} is {value!r} in the workspace; rows start from HEAD's {at_head!r}."

    def _reset(self, path: str) -> list[str]:
        text = committed(self.root, path) if path in self.changed else None
        return [] if text is None else reset(self._workspace_values(path), values_of(text), path)

    def _workspace_values(self, path: str) -> dict[str, Any]:
        if not (self.root / path).is_file():
            raise InputError(f"{path} is deleted here, and rows need HEAD's: `git checkout {path}`")
        return values_of((self.root / path).read_text(encoding="utf-8"))

    def _text(self, path: str) -> str | None:
        """HEAD's text of `path`; the workspace's where HEAD has none, as of a preset that is yet to be committed."""
        if (text := committed(self.root, path)) is not None:
            return text
        return (self.root / path).read_text(encoding="utf-8") if (self.root / path).is_file() else None

    def _content(self, path: str) -> str | None:
        """The SHA-256 of a file's bytes, or None where it is deleted."""
        file = self.root / path
        return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None


def _presets(dag: Mapping[str, Any], params: Mapping[str, Any]) -> set[str]:
    """The files other than params.yaml whose values stages depend on, the names in `${...}` filled in."""
    listed = [entry for stage in dag["stages"].values() for entry in stage.get("params", ())]
    return {_filled(path, params) for entry in listed if isinstance(entry, Mapping) for path in entry}


def _sources(dag: Mapping[str, Any], params: Mapping[str, Any]) -> set[str]:
    """The DAG's file, and what stages read that no stage makes: modules, folders, data of the repository."""
    stages = dag["stages"].values()
    outputs = {_path(entry) for stage in stages for kind in ("outs", "metrics") for entry in stage.get(kind, ())}
    read = {_filled(_path(entry), params) for stage in stages for entry in stage.get("deps", ())}
    return {_DAG, *(read - outputs)}


def _union(paths: Iterable[Iterable[str]]) -> list[str]:
    """All of them, each once, in the order of their first appearance."""
    return list(dict.fromkeys(chain.from_iterable(paths)))


def _path(entry: Any) -> str:
    return str(next(iter(entry)) if isinstance(entry, Mapping) else entry)


def _filled(text: str, params: Mapping[str, Any]) -> str:
    """`text` with every `${a.b}` replaced by that value of params.yaml."""

    def value(reference: re.Match[str]) -> str:
        item: Any = params
        for key in reference[1].split("."):
            item = item[key]
        return str(item)

    return _REFERENCE.sub(value, text)


def _is_under(path: str, sources: set[str]) -> bool:
    return any(path == source or path.startswith(f"{source}/") for source in sources)
