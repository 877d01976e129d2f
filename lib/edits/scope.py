"""The scope of an edit: it is in force for prompts that are near one of its facts, and for no other.

What an edit should change and what it should leave alone is told apart outside of the model, as SERAC's scope
classifier does (arXiv 2206.06520), here by sentence vectors. Whoever asks the model asks the classifier first
(scope_classifier.py); a prompt out of scope gets the unedited model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lib.core.params import ScopeSettings
    from lib.core.records import Paraphrase, Request


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What an edit is about."""

    prompts: Mapping[str, Sequence[str]]
    """By request_id: the edited prompt, and the paraphrases that are trained on beside it."""
    encoder: str
    """Of lib/neighbors/encoders.py, by name."""
    threshold: float
    """The least cosine between a prompt, or its last sentence, and one of `prompts` near which the edit is in force."""

    def joined(self, later: Scope) -> Scope:
        """The scope of both, told as the later one is; of two with the same request_id the prompts of both."""
        prompts = {name: [*texts] for name, texts in self.prompts.items()}
        for name, texts in later.prompts.items():
            prompts[name] = [*dict.fromkeys([*prompts.get(name, ()), *texts])]
        return replace(later, prompts=prompts)

    def with_facts(self, requests: Sequence[Request], paraphrases: Iterable[Paraphrase]) -> Scope:
        """The same with these requests in it, and those paraphrases that are theirs."""
        prompts = {request.request_id: [request.prompt] for request in requests}
        for paraphrase in paraphrases:
            if paraphrase.request_id in prompts:
                prompts[paraphrase.request_id].append(paraphrase.text)
        return self.joined(replace(self, prompts=prompts))

    def renamed(self, names: Mapping[str, str]) -> Scope:
        """The same with other request_ids, by the earlier ones."""
        return replace(self, prompts={names[name]: texts for name, texts in self.prompts.items()})


def scope_of(
    requests: Sequence[Request], paraphrases: Iterable[Paraphrase] = (), *, settings: ScopeSettings
) -> Scope | None:
    """The scope of an edit that made these requests; None where the settings have no encoder.

    Args:
        paraphrases: those trained on, of these requests or of more.
    """
    if settings.encoder is None:
        return None
    nothing = Scope(prompts={}, encoder=settings.encoder, threshold=settings.threshold)
    return nothing.with_facts(requests, paraphrases)
