"""Questions about what an edit implies, and about what it must leave alone though it is of the same subject."""

from dataclasses import dataclass
from typing import Literal

ImpliedKind = Literal["alias", "reversed", "two_hops", "more_hops", "one_hop", "same_subject", "condition"]
"""alias: the edited fact, its subject under another name; reversed: what follows from the meaning of the relation;
two_hops, more_hops: a chain of two, or of more, facts with an edited one among them; one_hop: one other fact of such a
chain, unedited; same_subject: other facts about the subject, unedited; condition: a fact that others of the questions
presume the unedited model to know. Hops are facts, as in MQuAKE (arXiv 2305.14795) and RippleEdits (arXiv
2307.12976)."""
FOLLOWING: tuple[ImpliedKind, ...] = ("alias", "reversed", "two_hops", "more_hops")
"""Kinds whose answer follows from the edit: portability."""
STAYING: tuple[ImpliedKind, ...] = ("one_hop", "same_subject")
"""Kinds whose answer the edit must not change."""


@dataclass(frozen=True, kw_only=True)
class ImpliedQuestion:
    """One such question, with the answers that are right after the edit."""

    kind: ImpliedKind
    prompt: str
    """A question, or the beginning of a sentence that the answer ends."""
    answers: tuple[str, ...]
    """Any of them is right, other names of one answer included; the likelihood of the first is measured."""
    earlier: str | None = None
    """The answer before the edit, where the dataset has it."""
    requires: tuple[str, ...] = ()
    """Prompts of kind condition, of the same edit: it counts where the unedited model answers all of them rightly."""
