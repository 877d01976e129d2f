"""What a generator is asked for, and what it wrote: the continuations that paraphrase candidates are read from.

A continuation depends on its request, its number and its sampling plan alone, so that a plan with more draws per
request, or for more requests, contains the texts of a smaller one.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from lib.core.params import Para
from lib.core.records import Request
from lib.core.seeds import seed
from lib.generation.chat import shared_turns
from lib.generation.engine import Generator, Prompt, Sampling
from lib.paraphrases import prompt, rewriting
from lib.runtime.scratch import fingerprint

ParaphraseKind = Literal["fewshot", "prefix", "chat"]
_SPARE_PREFIXES = 4
"""Prefixes drawn beyond para.n, for those that cleaning drops."""


@dataclass(frozen=True, kw_only=True)
class SampledText:
    """What the model wrote for one request, unparsed."""

    request_id: str
    number: int
    """From 0; names this draw among those of its kind for this request."""
    seed: int
    text: str


@dataclass(frozen=True, kw_only=True)
class SamplingPlan:
    """How the continuations of one kind are drawn, whatever their number; of a chat in turn by every instruction."""

    kind: ParaphraseKind
    seed: int
    samplings: tuple[Sampling, ...]
    """Draw `number` of a request uses samplings[number % len(samplings)]."""
    is_shared: bool = False
    """Whether all requests have the same draws, which then must not depend on their prompts."""

    def shared_prefix(self, turn: int) -> str:
        """The text that all prompts begin with; of a chat the earlier turns."""
        if self.kind == "chat":
            return shared_turns(rewriting.earlier_turns(turn))
        return prompt.shared_prefix() if self.kind == "fewshot" else ""

    def prompt_text(self, request: Request, turn: int) -> str:
        """What the model continues, after the shared prefix; a prefix z is sampled from nothing."""
        if self.kind == "chat":
            return rewriting.message(request.prompt, turn)
        return prompt.block(request.prompt) if self.kind == "fewshot" else ""

    def key(self, requests: Sequence[Request]) -> str:
        """A hash of all that decides on the texts for `requests`, but for the model and the code."""
        turns = range(len(self.samplings))
        prompts = [(request.request_id, [self.prompt_text(request, turn) for turn in turns]) for request in requests]
        return fingerprint(plan=asdict(self), shared=[self.shared_prefix(turn) for turn in turns], prompts=prompts)


def sampling_plans(para: Para) -> list[tuple[SamplingPlan, int]]:
    """What `para` asks for: a plan for each kind of paraphrase, with the number of draws per request."""
    plans = []
    if para.method in ("fewshot", "both"):
        sampling = Sampling(max_tokens=para.max_tokens, temperature=para.temperature, top_k=0, stop=(prompt.STOP,))
        plans.append((SamplingPlan(kind="fewshot", seed=para.seed, samplings=(sampling,)), para.samples))
    if para.method in ("prefix", "both"):
        samplings = tuple(
            Sampling(max_tokens=longest, temperature=1.0, top_k=para.prefix_top_k) for longest in para.prefix_tokens
        )
        plan = SamplingPlan(
            kind="prefix", seed=para.seed, samplings=samplings, is_shared=para.prefixes == "shared"
        )  # fmt: skip
        plans.append((plan, para.n + _SPARE_PREFIXES))
    if para.method in ("chat", "rewrite"):
        answer = Sampling(max_tokens=para.chat_tokens, temperature=para.chat_temperature, top_k=0)
        instructions = len(rewriting.INSTRUCTIONS)
        plan = SamplingPlan(kind="chat", seed=para.seed, samplings=(answer,) * instructions)
        plans.append((plan, para.samples * instructions))
    return plans


def draw(
    requests: Sequence[Request], generator: Generator, plan: SamplingPlan, numbers: Sequence[int]
) -> list[SampledText]:
    """The continuations with these numbers of every request; one call of the generator for each of plan.samplings."""
    if plan.is_shared:
        own = _draw(requests[:1], generator, plan, numbers)
        return [replace(text, request_id=request.request_id) for text in own for request in requests]
    return _draw(requests, generator, plan, numbers)


def _draw(
    requests: Sequence[Request], generator: Generator, plan: SamplingPlan, numbers: Sequence[int]
) -> list[SampledText]:
    continuations = []
    for turn, sampling in enumerate(plan.samplings):
        draws = [
            (request, number, seed(plan.seed, "" if plan.is_shared else request.request_id, plan.kind, number))
            for request in requests
            for number in numbers
            if number % len(plan.samplings) == turn
        ]
        if not draws:
            continue
        prompts = [Prompt(text=plan.prompt_text(request, turn), seed=draw_seed) for request, _, draw_seed in draws]
        texts = generator.generate(plan.shared_prefix(turn), prompts, sampling)
        for (request, number, draw_seed), text in zip(draws, texts, strict=True):
            continuations.append(SampledText(request_id=request.request_id, number=number, seed=draw_seed, text=text))
    return continuations
