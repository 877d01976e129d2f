"""Attribute snippets of the ROME release (arXiv 2202.05262): Wikipedia on other subjects of an edit's new object.

An array of {relation_id, target_id, samples: [{name, text}]}. The texts are an edit's references, with which the
consistency of generated text is measured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lib.core.records import Reject
from lib.core.texts import normalize
from lib.data.files import parse, read_json
from lib.data.rows import InputRow


@dataclass(frozen=True, kw_only=True)
class Snippets:
    """References by the ids of relation and object."""

    texts: Mapping[tuple[str, str], tuple[str, ...]]
    titles: frozenset[str]
    """Normalised titles of the articles that they come from."""
    rejects: tuple[Reject, ...] = ()
    rows_of: Mapping[str, int]
    notes_of: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def of(self, relation: str, target_id: str | None) -> tuple[str, ...]:
        """The references of an edit to this object; none where the file has none, or its id is unknown."""
        return self.texts.get((relation, target_id), ()) if target_id else ()


NO_SNIPPETS = Snippets(texts={}, titles=frozenset(), rows_of={})


def snippets(files: Mapping[str, Path]) -> Snippets:
    """What the file `snippets` holds; nothing where there is no such file."""
    if "snippets" not in files:
        return NO_SNIPPETS
    file = read_json(files["snippets"])
    entries, rejects = parse(file, _entry)
    texts: dict[tuple[str, str], tuple[str, ...]] = {}
    for key, samples in entries:
        texts[key] = texts.get(key, ()) + tuple(text for _, text in samples)
    titles = frozenset(normalize(title) for _, samples in entries for title, _ in samples if title)
    return Snippets(
        texts=texts,
        titles=titles,
        rejects=tuple(rejects),
        rows_of={file.name: file.size},
        notes_of={file.name: file.notes.remarks()},
    )


def _entry(row: InputRow) -> tuple[tuple[str, str], list[tuple[str | None, str]]]:
    samples = [(sample.optional_text("name"), sample.text("text")) for sample in row.records("samples")]
    return (row.text("relation_id"), row.text("target_id")), samples
