"""Attribute snippets of the ROME release (arXiv 2202.05262): what Wikipedia says of others with an edit's new object.

An array of {relation_id, target_id, samples: [{name, text}]}. The texts are an edit's references, with which the
consistency of generated text is measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lib.core.records import Reject
from lib.core.texts import normalize
from lib.data.files import parse, read_json
from lib.data.rows import Row


@dataclass(frozen=True, kw_only=True)
class Snippets:
    """References by the ids of relation and object."""

    texts: Mapping[tuple[str, str], tuple[str, ...]]
    titles: frozenset[str]
    """Normalised titles of the articles that they come from."""
    rejects: tuple[Reject, ...] = ()
    rows_of: Mapping[str, int]

    def of(self, relation: str, target_id: str | None) -> tuple[str, ...]:
        """The references of an edit to this object; none where there are none, or its id is not known."""
        return self.texts.get((relation, target_id), ()) if target_id else ()


NO_SNIPPETS = Snippets(texts={}, titles=frozenset(), rows_of={})


def snippets(files: Mapping[str, Path]) -> Snippets:
    """What the file `snippets` holds; nothing where there is no such file."""
    if "snippets" not in files:
        return NO_SNIPPETS
    file = read_json(files["snippets"])
    found, rejects = parse(file, _entry)
    texts: dict[tuple[str, str], tuple[str, ...]] = {}
    for key, samples in found:
        texts[key] = texts.get(key, ()) + tuple(text for _, text in samples)
    titles = frozenset(normalize(title) for _, samples in found for title, _ in samples if title)
    return Snippets(texts=texts, titles=titles, rejects=tuple(rejects), rows_of={file.name: file.size})


def _entry(row: Row) -> tuple[tuple[str, str], list[tuple[str | None, str]]]:
    samples = [(one.optional_text("name"), one.text("text")) for one in row.records("samples")]
    return (row.text("relation_id"), row.text("target_id")), samples
