"""Notes: an edit that is a memory of texts, each of which states one edit.

For a prompt, whoever asks it, those are stated before it whose vectors are most similar to the prompt's or to that of
its last sentence, where they are similar enough; a prompt near none stays as it is (contexts.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Notebook:
    """Texts to retrieve, and how."""

    texts: Mapping[str, str]
    """By request_id: the edit as a statement."""
    encoder: str
    """Of lib/neighbors/encoders.py, by name."""
    count: int
    """How many are stated before a prompt, at most."""
    threshold: float
    """The least cosine between a prompt, or its last sentence, and a note that is stated before it."""

    def joined(self, later: "Notebook") -> "Notebook":
        """Both, retrieved as the later ones are; of two with the same request_id the later one."""
        return replace(later, texts={**self.texts, **later.texts})


def stated(facts: Sequence[str]) -> str:
    """What goes before a prompt to state these facts, without anything between: f"{stated(facts)}{prompt}"."""
    return "".join(f"New Fact: {fact}\n" for fact in facts) + "Prompt: "
