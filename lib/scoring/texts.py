"""What a model is asked to write about an edit, and its texts: greedy continuations, and passages drawn at random.

Greedy continuations of the edited prompt and its paraphrases show whether the target is said when nothing is forced.
The passages are those of the published evaluation (arXiv 2202.05262): each generation prompt continued to a fixed
length by top-k sampling, from which fluency and consistency are computed. The same seed before and after an edit.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from lib.core.params import Generations, Greedy
from lib.core.records import Generation, Request, When
from lib.core.seeds import seed
from lib.generation import token_by_token
from lib.generation.engine import Sampling
from lib.generation.token_by_token import Asked
from lib.models.tokens import encode, prompt_ids

_GREEDY = Sampling(max_tokens=0, temperature=1.0, top_k=0, greedy=True)


TextKind = Literal["efficacy", "generalization", "generation"]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One text to be written."""

    request_id: str
    kind: TextKind
    prompt_index: int
    prompt: str
    context: str
    """An in-context edit's text, which comes before the prompt; else empty."""
    asked: Asked
    """Context and prompt."""
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
            seed=self.asked.seed if sampled else None,
            truncated=self.truncated,
        )


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How edits' prompts are put to a model."""

    tokenizer: Any
    longest: int | None
    """Tokens that the model has positions for; None: any number."""
    contexts: Mapping[str, str]
    """An in-context edit's, by request_id."""

    def greedy(self, requests: Sequence[Request], settings: Greedy) -> list[Wanted]:
        """The edited prompt and its paraphrases, each with room for the whole target and a token that ends it."""
        return [one for request in requests for one in self._fitting(self._greedy(request, settings))]

    def generations(self, requests: Sequence[Request], settings: Generations) -> list[Wanted]:
        """Every generation prompt, to be continued until it has settings.tokens tokens, its own included.

        A context does not count. The end of a text does not stop it, as in the release: all texts have one length.
        """
        return [one for request in requests for one in self._fitting(self._generations(request, settings))]

    def _greedy(self, request: Request, settings: Greedy) -> Iterator[Wanted]:
        kinds: list[tuple[TextKind, Sequence[str]]] = [
            ("efficacy", [request.prompt]),
            ("generalization", request.paraphrases),
        ]
        context = self.contexts.get(request.request_id, "")
        for kind, prompts in kinds:
            for place, prompt in enumerate(prompts):
                (item,) = encode(self.tokenizer, [context + prompt], [[request.target_new]])
                tokens = max(settings.tokens, len(item.targets[0]) + 1)
                yield self._wanted(request, kind, place, prompt, tokens, end=self.tokenizer.eos_token_id)

    def _generations(self, request: Request, settings: Generations) -> Iterator[Wanted]:
        for place, prompt in enumerate(request.generation_prompts):
            tokens = settings.tokens - len(prompt_ids(self.tokenizer, prompt))
            own = seed(settings.seed, "generation", request.request_id, place)
            yield self._wanted(request, "generation", place, prompt, tokens, seed=own)

    def _wanted(
        self, request: Request, kind: TextKind, place: int, prompt: str, tokens: int, **asked: Any
    ) -> Wanted:  # fmt: skip
        context = self.contexts.get(request.request_id, "")
        ids = tuple(prompt_ids(self.tokenizer, context + prompt))
        return Wanted(
            request_id=request.request_id,
            kind=kind,
            prompt_index=place,
            prompt=prompt,
            context=context,
            asked=Asked(ids=ids, tokens=tokens, **asked),
        )

    def _fitting(self, wanted: Iterable[Wanted]) -> list[Wanted]:
        """One request's texts without the first tokens, as many of each, that do not fit: they are of the context."""
        some = list(wanted)
        over = max((one.asked.length for one in some), default=0) - (self.longest or 0)
        if self.longest is None or over <= 0:
            return some
        return [
            replace(one, asked=replace(one.asked, ids=one.asked.ids[over:] or one.asked.ids[-1:]), truncated=True)
            for one in some
        ]


def cut(wanted: Sequence[Wanted], rows: int) -> list[list[int]]:
    """The places of `wanted` in batches of at most `rows` that share a context."""
    groups: dict[str, list[int]] = {}
    for place, one in enumerate(wanted):
        groups.setdefault(one.context, []).append(place)
    return [
        [group[place] for place in batch]
        for group in groups.values()
        for batch in token_by_token.cut([wanted[place].asked for place in group], rows)
    ]


def texts(model: Any, tokenizer: Any, wanted: Sequence[Wanted], top_k: int | None, rows: int) -> list[str]:
    """What `model` writes after each prompt of one batch: greedily, or drawn from the `top_k` likeliest tokens."""
    sampling = _GREEDY if top_k is None else Sampling(max_tokens=0, temperature=1.0, top_k=top_k)
    asked = [one.asked for one in wanted]
    drawn = token_by_token.continued(model, asked, sampling, rows=rows, together=_together(wanted))
    return [_text(tokenizer, one.ids, tokens) for one, tokens in zip(asked, drawn, strict=True)]


def _together(wanted: Sequence[Wanted]) -> int:
    """The tokens of the context, which is long and the same for all; of prompts nothing, since company must not count.

    (A context belongs to one edit, whose prompts are always asked together.)
    """
    if not wanted[0].context:
        return 0
    rows = [one.asked.ids for one in wanted]
    shared = min(map(len, rows)) - 1
    return next((place for place in range(shared) if len({row[place] for row in rows}) > 1), shared)


def _text(tokenizer: Any, ids: Sequence[int], tokens: Sequence[int]) -> str:
    """`tokens` as they read after `ids`: some tokenizers drop the space that a text begins with."""
    before, whole = (
        tokenizer.decode([*ids, *some], skip_special_tokens=True, clean_up_tokenization_spaces=False)
        for some in ([], tokens)
    )
    return str(whole)[len(before) :]
