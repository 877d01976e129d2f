"""What a model writes when it is asked what an edit implies (lib/core/implied.py).

A model with a chat template is asked in it, as it is the edit's own question; any other continues the prompt, as it
does the edited prompt and its paraphrases.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lib.core.implied import ImpliedQuestion
from lib.core.params import Greedy
from lib.core.records import Request
from lib.data.questions import SCORED_ORDER, question
from lib.models.templates import has_template
from lib.models.tokens import encode
from lib.scoring.texts import Continuation, ContinuationBuilder


@dataclass(frozen=True, kw_only=True)
class ImpliedBuilder(ContinuationBuilder):
    """Turns the prompts of requests, and the questions that they imply, into continuations."""

    def implied(self, requests: Sequence[Request], settings: Greedy) -> list[Continuation]:
        """Every implied question of every request, with room for the longest right answer."""
        return [
            continuation for request in requests for continuation in self._fitting(self._implied(request, settings))
        ]

    def _implied(self, request: Request, settings: Greedy) -> Iterator[Continuation]:
        asked_in_chat = has_template(self.tokenizer)
        for index, implied in enumerate(request.implied):
            if asked_in_chat:
                yield self._asked(request, index, implied, settings)
            else:
                yield self._continued(request, index, implied, settings)

    def _continued(self, request: Request, index: int, implied: ImpliedQuestion, settings: Greedy) -> Continuation:
        (item,) = encode(self.tokenizer, [implied.prompt], [implied.answers])
        tokens = max(settings.tokens, max(map(len, item.targets)) + 1)
        return self._continuation(request, "implied", index, implied.prompt, tokens, end=self.tokenizer.eos_token_id)

    def _asked(self, request: Request, index: int, implied: ImpliedQuestion, settings: Greedy) -> Continuation:
        """The answer in the chat template: long enough for a sentence of the prompt and its answer, and more."""
        question_text = chat_question(request, implied)
        return self._in_chat(request, "implied_chat", index, question_text, implied.prompt, implied.answers, settings)


def chat_question(request: Request, implied: ImpliedQuestion) -> str:
    """The prompt as a question to a chat model, as scored_question makes one of an edit's prompt."""
    by_rules = question(implied.prompt, request.subject, implied.answers[0])
    return by_rules or SCORED_ORDER.format(implied.prompt)
