"""A prompt as a clause: its subject taken out, so that rules of English grammar can be laid on the rest."""

import re
from dataclasses import dataclass

_ARTICLE = re.compile(r"\b(the|an?) $", re.IGNORECASE)
_LOWERED = frozenset(["the", "a", "an", "in", "at", "on", "for", "by", "as", "from", "during", "within"])


@dataclass(frozen=True, kw_only=True)
class Clause:
    """A prompt with its subject taken out."""

    text: str
    """With {} for the subject and its article; the first word in lower case unless it may be a name."""
    subject: str
    """The subject with its article, in lower case."""

    def filled(self, text: str) -> str:
        """A clause about the same subject, as the beginning of a sentence."""
        sentence = text.replace("{}", self.subject)
        is_name = text.startswith("{}") and not self.has_article
        return sentence if is_name else sentence[:1].upper() + sentence[1:]

    @property
    def has_article(self) -> bool:
        """Whether the subject has one."""
        return bool(_ARTICLE.match(self.subject.split(" ")[0] + " "))


def clause_of(prompt: str, subject: str | None) -> Clause | None:
    """The prompt as a clause; None where the prompt does not have the subject exactly once."""
    prompt = prompt.strip()
    if not subject or prompt.count(subject) != 1 or "{" in prompt:
        return None
    before, _, after = prompt.partition(subject)
    article = _ARTICLE.search(before)
    if article:
        before, subject = before[: article.start()], f"{article.group(1).lower()} {subject}"
    if before.split(" ")[0].lower() in _LOWERED:
        before = before[:1].lower() + before[1:]
    return Clause(text=f"{before}{{}}{after}", subject=subject)
