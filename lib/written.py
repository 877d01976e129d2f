"""What a model is asked to write about an edit, and its texts: greedy continuations, and passages drawn at random.

Greedy continuations of the edited prompt and its paraphrases show whether the target is said when nothing is forced.
The passages are those of the published evaluation (arXiv 2202.05262): each generation prompt continued to a fixed
length by top-k sampling, from which fluency and consistency are computed. The same seed before and after an edit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lib import in_step
from lib.encoding import encode, prompt_ids
from lib.generation import Sampling
from lib.in_step import Asked
from lib.params import Generations, Greedy
from lib.paraphrasing import seed
from lib.records import Generation, Request, When

_GREEDY = Sampling(max_tokens=0, temperature=1.0, top_k=0, greedy=True)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One text to be written."""

    edit_id: str
    kind: Literal["efficacy", "generalization", "generation"]
    prompt_index: int
    prompt: str
    context: str
    """An in-context edit's text, which comes before the prompt; else empty."""
    asked: Asked
    """Context and prompt."""

    def row(self, text: str, when: When, session: int) -> Generation:
        """The row of generations.parquet."""
        sampled = self.kind == "generation"
        return Generation(
            edit_id=self.edit_id,
            session=session,
            when=when,
            kind=self.kind,
            prompt_index=self.prompt_index,
            decoding="sampled" if sampled else "greedy",
            prompt=self.prompt,
            text=text,
            seed=self.asked.seed if sampled else None,
        )


def greedy(tokenizer: Any, requests: Sequence[Request], settings: Greedy, contexts: Mapping[str, str]) -> list[Wanted]:
    """The edited prompt and its paraphrases, each with room for the whole target and a token that ends it."""
    wanted = []
    for request in requests:
        context = contexts.get(request.edit_id, "")
        prompts = (request.prompt, *request.paraphrases)
        items = encode(tokenizer, [context + prompt for prompt in prompts], [[request.target_new]] * len(prompts))
        for place, (prompt, item) in enumerate(zip(prompts, items, strict=True)):
            asked = Asked(
                ids=tuple(prompt_ids(tokenizer, context + prompt)),
                tokens=max(settings.tokens, len(item.targets[0]) + 1),
                end=tokenizer.eos_token_id,
            )
            kind: Literal["efficacy", "generalization"] = "generalization" if place else "efficacy"
            wanted.append(
                Wanted(
                    edit_id=request.edit_id,
                    kind=kind,
                    prompt_index=max(place - 1, 0),
                    prompt=prompt,
                    context=context,
                    asked=asked,
                )
            )
    return wanted


def generations(
    tokenizer: Any, requests: Sequence[Request], settings: Generations, contexts: Mapping[str, str]
) -> list[Wanted]:
    """Every generation prompt, to be continued until it has settings.tokens tokens, its own included.

    A context does not count. The end of a text does not stop it, as in the release: all texts have one length.
    """
    return [
        Wanted(
            edit_id=request.edit_id,
            kind="generation",
            prompt_index=place,
            prompt=prompt,
            context=(context := contexts.get(request.edit_id, "")),
            asked=Asked(
                ids=tuple(prompt_ids(tokenizer, context + prompt)),
                tokens=settings.tokens - len(prompt_ids(tokenizer, prompt)),
                seed=seed(settings.seed, "generation", request.edit_id, place),
            ),
        )
        for request in requests
        for place, prompt in enumerate(request.generation_prompts)
    ]


def cut(wanted: Sequence[Wanted], rows: int) -> list[list[int]]:
    """The places of `wanted` in batches of at most `rows` that share a context."""
    groups: dict[str, list[int]] = {}
    for place, one in enumerate(wanted):
        groups.setdefault(one.context, []).append(place)
    return [
        [group[place] for place in batch]
        for group in groups.values()
        for batch in in_step.cut([wanted[place].asked for place in group], rows)
    ]


def texts(model: Any, tokenizer: Any, wanted: Sequence[Wanted], top_k: int | None, rows: int) -> list[str]:
    """What `model` writes after each prompt of one batch: greedily, or drawn from the `top_k` likeliest tokens."""
    sampling = _GREEDY if top_k is None else Sampling(max_tokens=0, temperature=1.0, top_k=top_k)
    asked = [one.asked for one in wanted]
    drawn = in_step.continued(model, asked, sampling, rows=rows, together=_together(wanted))
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
