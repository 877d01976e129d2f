"""Paraphrase candidates of requests, read from what the model wrote, and the share of them that are valid.

Two kinds are published ("Model Editing by Standard Fine-Tuning", arXiv 2402.11078): `fewshot`, lines that the model
adds to a list of worked examples; `prefix`, the prompt after a sentence z that the model samples from nothing, drawn
anew for every request as the paper's formula says (para.prefixes=shared: the same z for all, as its released code).
Two more say the prompt in other words: `rules`, by rules of English grammar, and `chat`, by a chat model that is told
to.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from lib.core.params import Para
from lib.core.records import Fact, Paraphrase, Request
from lib.core.texts import fill, normalize
from lib.paraphrases import prompt
from lib.paraphrases.cleaning import Cleaned
from lib.paraphrases.draws import SampledText, SamplingPlan
from lib.paraphrases.rewriting import rewritings
from lib.paraphrases.rules import rephrasings


def given(requests: Sequence[Request]) -> list[Paraphrase]:
    """The training paraphrases that came with the dataset, request by request."""
    return [
        Paraphrase(request_id=request.request_id, kind="given", text=text, seed=0)
        for request in requests
        for text in request.train_paraphrases
    ]


def by_rules(requests: Sequence[Request]) -> list[Paraphrase]:
    """What rules of English grammar make of every request's prompt, request by request."""
    return [
        Paraphrase(request_id=request.request_id, kind="rules", text=text, seed=0)
        for request in requests
        for text in rephrasings(request.prompt, request.subject, request.target_new)
    ]


def short_of_rules(requests: Sequence[Request], para: Para) -> list[Request]:
    """The requests of which the dataset and the rules give less than half of the paraphrases, before measuring.

    What a small chat model writes is worth less, and costs more, than what rules make.
    """
    counts = Counter(paraphrase.request_id for paraphrase in by_rules(requests))
    return [
        request for request in requests if 2 * (len(request.train_paraphrases) + counts[request.request_id]) < para.n
    ]


def summary(requests: Sequence[Request], paraphrases: Sequence[Paraphrase], evaluated: Cleaned) -> str:
    """In a line, where the training paraphrases are from, how many requests have none, and what scoring has."""
    counts = Counter(paraphrase.kind for paraphrase in paraphrases)
    sources = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "none"
    without = len(requests) - len({paraphrase.request_id for paraphrase in paraphrases})
    line = f"kept {sources}; {without} of {len(requests)} edits have none to train on"
    if evaluated.shortfall or evaluated.paraphrases:
        line += f"; {len(evaluated.paraphrases)} written for scoring, {evaluated.shortfall} missing"
    return line


def candidates(request: Request, plan: SamplingPlan, continuations: Sequence[SampledText]) -> Iterator[Paraphrase]:
    """The uncleaned paraphrases in a request's continuations, in the order of plan.samplings, then of their numbers."""
    turns = len(plan.samplings)
    for continuation in sorted(continuations, key=lambda draw: (draw.number % turns, draw.number)):
        for text in _texts(request, plan, continuation.text):
            yield Paraphrase(request_id=request.request_id, kind=plan.kind, text=text, seed=continuation.seed)


def _texts(request: Request, plan: SamplingPlan, continuation: str) -> list[str]:
    if plan.kind == "fewshot":
        return prompt.parse(continuation)
    if plan.kind == "chat":
        return list(rewritings(continuation, request))
    sentence = " ".join(continuation.split()).rstrip(".")
    return [f"{sentence}. {request.prompt}"] if sentence else []


def valid_share(paraphrases: Sequence[Paraphrase], requests: Sequence[Request], pool: Sequence[Fact]) -> float | None:
    """Share of few-shot lines that state the request's relation of its subject in a phrasing of the dataset's own.

    None where no request has a relation with several phrasings, or has a few-shot line.
    """
    templates: dict[str, set[str]] = {}
    statements: list[Fact | Request] = [*pool, *requests]
    for statement in statements:
        if statement.relation and statement.template:
            templates.setdefault(statement.relation, set()).add(statement.template)
    phrasings = {
        request.request_id: {normalize(fill(template, request.subject)) for template in templates[request.relation]}
        for request in requests
        if request.subject and request.relation and len(templates.get(request.relation, ())) > 1
    }
    lines = [line for line in paraphrases if line.kind == "fewshot" and line.request_id in phrasings]
    return sum(normalize(line.text) in phrasings[line.request_id] for line in lines) / len(lines) if lines else None
