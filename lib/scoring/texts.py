"""Texts that a model writes about a request: greedy continuations, and passages sampled at random.

Greedy continuations of the edited prompt and its paraphrases show whether the target is written when no token is
forced; so does a chat model's answer to the edit's question. The passages are those of the published evaluation (arXiv
2202.05262): each generation prompt continued to a fixed length by top-k sampling, from which fluency and consistency
are computed. The same seed before and after an edit.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.params import Generations, Greedy
from lib.core.records import Generation, Request, When
from lib.core.seeds import seed
from lib.data.questions import scored_question
from lib.generation import decoding
from lib.generation.engine import EncodedPrompt, Sampling, greedy
from lib.models.templates import chat_item, chat_prompt, has_template
from lib.models.tokens import encode, prompt_ids
from lib.scoring.prompts import TextBefore

TextKind = Literal["efficacy", "generalization", "generation", "chat", "implied", "implied_chat"]


@dataclass(frozen=True, kw_only=True)
class Continuation:
    """One prompt of a request that the model continues."""

    request_id: str
    kind: TextKind
    prompt_index: int
    prompt: str
    bare: str
    """The same without a template."""
    context: str
    """An in-context edit's text, which comes before the prompt; else empty. In a chat the question has it."""
    encoded: EncodedPrompt
    """Context and prompt as token ids, and how many tokens follow."""
    truncated: bool = False
    """Whether the context, or the prompt, lost its beginning for want of positions."""

    def row(self, text: str, when: When, session: int) -> Generation:
        """The row of generations.parquet."""
        sampled = self.kind == "generation"
        return Generation(
            request_id=self.request_id,
            session=session,
            when=when,
            kind=self.kind,
            prompt_index=self.prompt_index,
            decoding="sampled" if sampled else "greedy",
            prompt=self.prompt,
            text=text,
            seed=self.encoded.seed if sampled else None,
            truncated=self.truncated,
        )


@dataclass(frozen=True, kw_only=True)
class ContinuationBuilder:
    """Turns the prompts of requests into continuations."""

    tokenizer: PreTrainedTokenizerBase
    longest: int | None
    """Tokens that the model has positions for; None: any number."""
    contexts: TextBefore
    """What an edit in context puts before the prompts."""

    def greedy(self, requests: Sequence[Request], settings: Greedy) -> list[Continuation]:
        """The edited prompt, its paraphrases and its question, with room for the target and a token that ends it."""
        return [continuation for request in requests for continuation in self._fitting(self._greedy(request, settings))]

    def generations(self, requests: Sequence[Request], settings: Generations) -> list[Continuation]:
        """Every generation prompt, continued until it has settings.tokens tokens, its own included.

        A context does not count. The end of a text does not stop it, as in the release: all texts have one length.
        """
        return [
            continuation for request in requests for continuation in self._fitting(self._generations(request, settings))
        ]

    def _greedy(self, request: Request, settings: Greedy) -> Iterator[Continuation]:
        kinds: list[tuple[TextKind, Sequence[str]]] = [
            ("efficacy", [request.prompt]),
            ("generalization", request.paraphrases),
        ]
        for kind, prompts in kinds:
            for index, prompt in enumerate(prompts):
                (item,) = encode(
                    self.tokenizer,
                    [self._before(request, prompt) + prompt],
                    [[request.target_new]],
                    [request.separator],
                )
                tokens = max(settings.tokens, len(item.targets[0]) + 1)
                yield self._continuation(request, kind, index, prompt, tokens, end=self.tokenizer.eos_token_id)
        if has_template(self.tokenizer):
            yield self._answer(request, settings)

    def _answer(self, request: Request, settings: Greedy) -> Continuation:
        """The answer to the edit's question in the chat template: long enough for the edit as a sentence, and more."""
        return self._in_chat(
            request, "chat", 0, scored_question(request), request.prompt, [request.target_new], settings
        )

    def _in_chat(
        self, request: Request, kind: TextKind, index: int, question: str, prompt: str, answers: Sequence[str],
        settings: Greedy,
    ) -> Continuation:  # fmt: skip
        """The answer to a question, with room for `prompt` with the longest of `answers`, and more."""
        whole_question = self._before(request, question) + question
        item = chat_item(self.tokenizer, whole_question, answers)
        sentence = len(prompt_ids(self.tokenizer, prompt)) + max(map(len, item.targets))
        return Continuation(
            request_id=request.request_id,
            kind=kind,
            prompt_index=index,
            prompt=chat_prompt(self.tokenizer, question),
            bare=question,
            context="",
            encoded=EncodedPrompt(
                ids=tuple(prompt_ids(self.tokenizer, chat_prompt(self.tokenizer, whole_question))),
                tokens=sentence + settings.tokens,
                end=self.tokenizer.eos_token_id,
            ),
        )

    def _generations(self, request: Request, settings: Generations) -> Iterator[Continuation]:
        for index, prompt in enumerate(request.generation_prompts):
            tokens = settings.tokens - len(prompt_ids(self.tokenizer, prompt))
            text_seed = seed(settings.seed, "generation", request.request_id, index)
            yield self._continuation(request, "generation", index, prompt, tokens, seed=text_seed)

    def _before(self, request: Request, prompt: str) -> str:
        return self.contexts(request.request_id, prompt)

    def _continuation(
        self, request: Request, kind: TextKind, index: int, prompt: str, tokens: int, **options: Any
    ) -> Continuation:  # fmt: skip
        context = self._before(request, prompt)
        ids = tuple(prompt_ids(self.tokenizer, context + prompt))
        prefix = tuple(prompt_ids(self.tokenizer, context)) if context else ()
        return Continuation(
            request_id=request.request_id,
            kind=kind,
            prompt_index=index,
            prompt=prompt,
            bare=prompt,
            context=context,
            encoded=EncodedPrompt(ids=ids, tokens=tokens, prefix=prefix, **options),
        )

    def _fitting(self, continuations: Iterable[Continuation]) -> list[Continuation]:
        """The continuations of one request, cut at the front by the same number of tokens so that all fit the model.

        What is lost is of the context.
        """
        uncut = list(continuations)
        over = max((continuation.encoded.length for continuation in uncut), default=0) - (self.longest or 0)
        if self.longest is None or over <= 0:
            return uncut
        return [
            replace(
                continuation,
                encoded=replace(
                    continuation.encoded,
                    ids=continuation.encoded.ids[over:] or continuation.encoded.ids[-1:],
                    prefix=continuation.encoded.prefix[over:],
                ),
                truncated=True,
            )
            for continuation in uncut
        ]


def tokens(
    model: PreTrainedModel,
    continuations: Sequence[Continuation],
    top_k: int | None,
    rows: int,
    show: decoding.Show = iter,
) -> list[list[int]]:
    """The token ids that `model` writes after each prompt: greedily, or sampled from the `top_k` likeliest tokens.

    Args:
        rows: texts that are written at a time.
        show: passes on texts as they end, and may tell of it.
    """
    sampling = greedy() if top_k is None else Sampling(max_tokens=0, temperature=1.0, top_k=top_k)
    prompts = [continuation.encoded for continuation in continuations]
    return decoding.continuations(model, prompts, sampling, slots=rows, show=show)


def text(tokenizer: PreTrainedTokenizerBase, continuation: Continuation, tokens: Sequence[int]) -> str:
    """`tokens` as they read after the prompt: some tokenizers drop the space that a text begins with."""
    prompt = continuation.encoded.ids
    prompt_text, full_text = (
        str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
        for ids in ([*prompt], [*prompt, *tokens])
    )
    return full_text[len(prompt_text) :]
