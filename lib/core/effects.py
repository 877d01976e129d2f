"""Keys of params.yaml that have no effect under the other settings, and what would give them one.

A key that is away from the value of the repository's params.yaml while its condition (lib/core/conditions.py) does not
hold is named in the log; nothing is refused, and `auto` says nothing.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from lib.core.conditions import CONDITIONS, Condition, Run, value_at


def without_effect(values: Mapping[str, Any], run: Run, sections: Collection[str]) -> list[str]:
    """A line for every key of these sections that is away from the repository's value and has no effect.

    Args:
        values: params.yaml as it is, a key at the top level being a section of its own.
        run: the same, resolved.
    """
    lines: dict[str, str] = {}
    for condition in CONDITIONS:
        if condition.holds(run):
            continue
        for key, usual in condition.keys.items():
            value = value_at(values, key)
            if key.split(".")[0] in sections and value not in (usual, "auto"):
                lines.setdefault(key, _line(key, value, condition, values, run))
    return list(lines.values())


def _line(key: str, value: Any, condition: Condition, values: Mapping[str, Any], run: Run) -> str:
    source = " (auto)" if value_at(values, condition.under) == "auto" else ""
    decisive = f"{condition.under}={_shown(value_at(run.root, condition.under))}{source}"
    where = condition.where if isinstance(condition.where, str) else condition.where()
    return f"{key}={_shown(value)} has no effect with {decisive}; it has one where {where}"


def _shown(value: Any) -> str:
    """As -S takes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
