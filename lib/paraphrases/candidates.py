"""Training paraphrases of edits: candidates from a generator, and the cleaning that decides which are kept.

Two kinds ("Model Editing by Standard Fine-Tuning", arXiv 2402.11078): `fewshot`, lines that the model adds to a list
of worked examples; `prefix`, the prompt after a sentence z that the model samples from nothing, drawn anew for every
edit as the paper's formula says (its released code draws the same z for all edits).
"""

from collections.abc import Iterator, Sequence

from lib.core.params import Para
from lib.core.records import Fact, Paraphrase, Request
from lib.core.seeds import seed
from lib.core.texts import fill, normalize
from lib.generation.engine import Generator, Prompt, Sampling
from lib.paraphrases import prompt

_SPARE_PREFIXES = 4
"""More prefixes are drawn than wanted, for those that cleaning drops."""


def candidates(requests: Sequence[Request], generator: Generator, para: Para) -> list[Paraphrase]:
    """Uncleaned paraphrases, for each edit in turn: few-shot lines first, then prefixed prompts.

    An edit's candidates depend on the edit and para.seed alone.
    """
    fewshots = _fewshot(requests, generator, para) if para.method in ("fewshot", "both") else []
    prefixed = _prefixed(requests, generator, para) if para.method in ("prefix", "both") else []
    place = {request.request_id: index for index, request in enumerate(requests)}
    return sorted([*fewshots, *prefixed], key=lambda one: place[one.request_id])


def valid_share(found: Sequence[Paraphrase], requests: Sequence[Request], pool: Sequence[Fact]) -> float | None:
    """Share of few-shot lines that say the edit's relation of its subject in a phrasing that the dataset knows.

    None where no edit has a relation with several phrasings, or no line was found.
    """
    templates: dict[str, set[str]] = {}
    known_templates = [(one.relation, one.template) for one in pool] + [
        (one.relation, one.template) for one in requests
    ]
    for relation, template in known_templates:
        if relation and template:
            templates.setdefault(relation, set()).add(template)
    known = {
        request.request_id: {normalize(fill(one, request.subject)) for one in templates[request.relation]}
        for request in requests
        if request.subject and request.relation and len(templates.get(request.relation, ())) > 1
    }
    lines = [one for one in found if one.kind == "fewshot" and one.request_id in known]
    return sum(normalize(one.text) in known[one.request_id] for one in lines) / len(lines) if lines else None


def _fewshot(requests: Sequence[Request], generator: Generator, para: Para) -> Iterator[Paraphrase]:
    asked = [
        (request, seed(para.seed, request.request_id, "fewshot", one))
        for request in requests
        for one in range(para.samples)
    ]
    prompts = [Prompt(text=prompt.block(request.prompt), seed=own) for request, own in asked]
    sampling = Sampling(max_tokens=para.max_tokens, temperature=para.temperature, top_k=0, stop=(prompt.STOP,))
    continuations = generator.generate(prompt.shared_prefix(), prompts, sampling)
    for (request, own), continuation in zip(asked, continuations, strict=True):
        for line in prompt.parse(continuation):
            yield Paraphrase(request_id=request.request_id, kind="fewshot", text=line, seed=own)


def _prefixed(requests: Sequence[Request], generator: Generator, para: Para) -> Iterator[Paraphrase]:
    for turn, longest in enumerate(para.prefix_tokens):
        numbers = range(turn, para.n + _SPARE_PREFIXES, len(para.prefix_tokens))
        asked = [
            (request, seed(para.seed, request.request_id, "prefix", one)) for request in requests for one in numbers
        ]
        sampling = Sampling(max_tokens=longest, temperature=1.0, top_k=para.prefix_top_k)
        texts = generator.generate("", [Prompt(text="", seed=own) for _, own in asked], sampling)
        for (request, own), text in zip(asked, texts, strict=True):
            sentence = " ".join(text.split()).rstrip(".")
            if sentence:
                yield Paraphrase(
                    request_id=request.request_id, kind="prefix", text=f"{sentence}. {request.prompt}", seed=own
                )
