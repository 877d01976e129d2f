"""How near a candidate is to the prompt, by what the unedited model would say next: no truth is needed.

    JSD(p, q) = KL(p || m) / 2 + KL(q || m) / 2, m = (p + q) / 2      nats, 0 to ln 2

with p the next-token distribution after the prompt and q the one after the candidate (Lin 1991, doi 10.1109/18.61115).
Two phrasings that ask for the same lead to like expectations, also of a subject that the model has never heard of; a
text that has begun to answer, or has ended, does not.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from random import Random

from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.params import Para
from lib.core.records import Paraphrase, Request
from lib.core.texts import words
from lib.models.next_token import next_token, prompt_items
from lib.models.packing import Item, batches
from lib.paraphrases.cleaning import Cleaned, DropReason, clean

Distances = Callable[[Sequence[str], Sequence[Sequence[str]]], Iterator[list[float]]]
"""`distances` of one model: prompts and their candidates in, the distance of every candidate out."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A prompt and the texts whose distance from it is asked for, as items."""

    items: Sequence[Item]
    """That of the prompt first."""

    @property
    def length(self) -> int:
        """Tokens of all of them."""
        return sum(item.length for item in self.items)


def distances(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    candidates: Sequence[Sequence[str]],
    micro_batch_tokens: int,
) -> Iterator[list[float]]:
    """For every prompt in turn, JSD to each of its candidates.

    Args:
        micro_batch_tokens: tokens of a forward pass, about: bounds memory, not the result.
    """
    groups = [
        Compared(items=prompt_items(tokenizer, [prompt, *texts]))
        for prompt, texts in zip(prompts, candidates, strict=True)
    ]
    for batch in batches(groups, micro_batch_tokens):
        log_p = next_token(model, [item for index in batch for item in groups[index].items])  # [n, v]
        first = 0
        for index in batch:
            last = first + len(groups[index].items)
            yield jensen_shannon(log_p[first], log_p[first + 1 : last]).tolist()
            first = last


def jensen_shannon(log_p: Tensor, log_q: Tensor) -> Tensor:
    """JSD [n] of a log-distribution [v] and each of several [n, v], in nats."""
    log_m = (log_p.exp() + log_q.exp()).log() - math.log(2)
    halves = log_p.exp() * (log_p - log_m) + log_q.exp() * (log_q - log_m)  # [n, v]
    divergence: Tensor = halves.sum(-1).clamp(min=0) / 2
    return divergence


def nearest(requests: Sequence[Request], candidates: Sequence[Paraphrase], para: Para, measure: Distances) -> Cleaned:
    """The usable candidates (cleaning.py) that are near their prompts, by request.

    Those of rules come first, so that their words vary most (`_varied`); then those of a chat model, the nearest first.

    How near is near depends on who wrote: rules make no sentence that goes astray, so para.rules_distance only keeps
    out what asks for something else; para.chat_distance also keeps out what has gone on to an answer.
    """
    usable = clean(requests, candidates, len(candidates), "rewrite")
    by_request: dict[str, list[Paraphrase]] = {request.request_id: [] for request in requests}
    for candidate in usable.paraphrases:
        by_request[candidate.request_id].append(candidate)
    rows = [(request, by_request[request.request_id]) for request in requests if by_request[request.request_id]]
    texts = [[candidate.text for candidate in group] for _, group in rows]
    limits = {"rules": para.rules_distance, "chat": para.chat_distance}
    near: list[Paraphrase] = []
    for (request, group), values in zip(rows, measure([request.prompt for request, _ in rows], texts), strict=True):
        order = sorted(zip(values, range(len(group)), strict=True))
        of_request = [group[index] for value, index in order if value <= limits[group[index].kind]]
        near += _varied(request.prompt, [candidate for candidate in of_request if candidate.kind == "rules"])
        near += [candidate for candidate in of_request if candidate.kind != "rules"]
    dropped: Counter[DropReason] = usable.dropped + Counter({"far": len(usable.paraphrases) - len(near)})
    return Cleaned(paraphrases=near, dropped=dropped)


def _varied(prompt: str, candidates: Sequence[Paraphrase]) -> list[Paraphrase]:
    """The candidates, each next one that whose words are least like those of the prompt and of all before it.

    How like is the share of common words of all words of both (Jaccard), with the prompt or the candidate that is most
    alike; of equals the first comes first. The first n of many say the prompt in n ways, not in n forms of one way.
    """
    left = {index: set(words(candidate.text)) for index, candidate in enumerate(candidates)}
    likest = {index: _likeness(of_text, set(words(prompt))) for index, of_text in left.items()}
    order: list[int] = []
    while left:
        index = min(left, key=lambda number: (likest[number], number))
        of_text = left.pop(index)
        order.append(index)
        likest |= {number: max(likest[number], _likeness(rest, of_text)) for number, rest in left.items()}
    return [candidates[index] for index in order]


def _likeness(first: Set[str], second: Set[str]) -> float:
    return len(first & second) / max(1, len(first | second))


def evaluation_choice(requests: Sequence[Request], near: Sequence[Paraphrase], para: Para) -> Cleaned:
    """At most para.evaluation of the near paraphrases, at random, for every request without generalization prompts.

    At most half of a request's: what is scored on is not trained on.

    Those that rules make; what a chat model writes only where para.model names a better one than the edited model,
    which is too often wrong to be measured by, or where para.method is chat.
    """
    kinds = ("rules",) if para.model is None and para.method != "chat" else ("rules", "chat")
    sample: list[Paraphrase] = []
    bare = [request.request_id for request in requests if not request.paraphrases]
    for request_id in bare:
        random = Random(f"{para.seed}/evaluation/{request_id}")
        group = [paraphrase for paraphrase in near if paraphrase.request_id == request_id and paraphrase.kind in kinds]
        sample += random.sample(group, min(para.evaluation, len(group) // 2))
    return Cleaned(paraphrases=sample, shortfall=para.evaluation * len(bare) - len(sample))
