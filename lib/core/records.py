"""The records that travel between stages: one frozen dataclass a table (lib/core/tables.py reads and writes them).

A field's type declares its column: str, int, float, bool, tuples of strings or of a nested record; "| None" makes it
nullable.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from lib.core.implied import ImpliedQuestion
from lib.core.joins import Separator
from lib.core.texts import fill, occurrences

When = Literal["before", "after"]
Kind = Literal["efficacy", "generalization", "locality", "pool", "chat", "implied"]
SPARSE = {"sparse": True}
"""Metadata of a field whose column is left out of a table where it is empty in every row."""


@dataclass(frozen=True, kw_only=True)
class LocalityPrompt:
    """An unedited fact whose answer an edit must leave alone."""

    prompt: str
    target: str


@dataclass(frozen=True, kw_only=True)
class Request:
    """One requested edit with everything needed to score it: a row of requests.parquet."""

    request_id: str
    dataset: str
    subject: str | None
    relation: str | None
    prompt: str
    """The filled prompt; the edited model should continue it with target_new."""
    template: str | None
    """The prompt with {} in place of the subject, where the dataset gives it."""
    target_new: str
    target_true: str | None
    separator: Separator | None = None
    """What stands between its prompts and its targets, where the file says it; else the texts do (lib.core.joins)."""
    paraphrases: tuple[str, ...] = ()
    """Evaluation paraphrases (generalization): never trained on."""
    train_paraphrases: tuple[str, ...] = ()
    """Other phrasings of the prompt that may be trained on, where the dataset has them."""
    locality: tuple[LocalityPrompt, ...] = ()
    """Evaluation prompts about other subjects (locality): never trained on."""
    generation_prompts: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    implied: tuple[ImpliedQuestion, ...] = field(default=(), metadata=SPARSE)
    """Evaluation questions about what follows from the edit (portability): never trained on."""

    @property
    def evaluation_prompts(self) -> tuple[str, ...]:
        """Every prompt that this edit is scored on: the edit itself, paraphrases, locality prompts, what it implies."""
        locality = (neighbor.prompt for neighbor in self.locality)
        return (self.prompt, *self.paraphrases, *locality, *(question.prompt for question in self.implied))

    @property
    def subject_start(self) -> int | None:
        """Where the subject begins in the prompt; None where there is none, or the prompt does not have it.

        At the template's {}, else where it first stands as whole words, else where it first stands at all.
        """
        if not self.subject:
            return None
        if self.template is not None and fill(self.template, self.subject) == self.prompt:
            return self.template.index("{}")
        return next(iter(occurrences(self.prompt, self.subject)), None)


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One unedited fact to learn from (train split): a row of pool.parquet."""

    fact_id: str
    subject: str | None
    relation: str | None
    prompt: str
    target: str
    template: str | None = None
    paraphrases: tuple[str, ...] = ()
    """Other phrasings of the prompt, where the dataset has them."""
    target_new: str | None = None
    """An object that is not the fact's, where the dataset names one: what a network learns to edit to."""
    locality: tuple[LocalityPrompt, ...] = ()
    """Facts that an edit of this one must leave alone, where the dataset has them."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """One piece of plain text: a row of text.parquet. `heldout` pieces are for measuring only."""

    text: str
    split: Literal["train", "heldout"]


@dataclass(frozen=True, kw_only=True)
class Reject:
    """One input row that was not used, and why: a row of rejects.parquet."""

    file: str
    line: int
    """1-based line (CSV, JSONL) or 1-based place of the record in a JSON array or Parquet file."""
    field: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class RecalledFact:
    """Whether the unedited model knows one fact: a row of recall.parquet."""

    prompt: str
    target: str
    is_known: bool
    """Whether `target` is its greedy continuation of `prompt`."""


@dataclass(frozen=True, kw_only=True)
class Paraphrase:
    """One training paraphrase of an edit's prompt: a row of paraphrases.parquet."""

    request_id: str
    kind: Literal["given", "fewshot", "prefix", "rules", "chat"]
    """given: from the dataset; rules: by English grammar; the others: written by the unedited model, or para.model."""
    text: str
    seed: int


@dataclass(frozen=True, kw_only=True)
class EvaluationPrompt:
    """A generalization prompt written for a request whose dataset has none: a row of evaluation.parquet."""

    request_id: str
    prompt_index: int
    """Place of the prompt among the request's generalization prompts."""
    prompt: str
    seed: int


@dataclass(frozen=True, kw_only=True)
class UneditedFact:
    """One unedited fact trained beside an edit: a row of neighbors.parquet."""

    request_id: str
    fact_id: str
    rank: int
    """0 = first drawn or most similar."""
    similarity: float | None
    """Cosine of the prompts' embeddings; absent for random neighbors."""
    prompt: str
    target: str


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a model says of one target after one prompt: a row of scores.parquet. Metrics are arithmetic on these."""

    request_id: str
    session: int
    """0 = the whole run (mass and single editing); in a sequential run the number of edits so far."""
    when: When
    kind: Kind
    prompt_index: int
    """Place of the prompt among the edit's prompts of this kind."""
    role: Literal["new", "true"]
    """Whether `target` is the edit's new object or the true one (for locality prompts: the prompt's own answer)."""
    prompt: str
    target: str
    nll: float
    """Sum over target tokens of -log p, in nats, teacher-forced."""
    tokens: int
    """Number of target tokens."""
    correct: int
    """How many target tokens are the argmax under teacher forcing."""
    argmax: tuple[int, ...]
    """The token ids that are: what the model says at the place of each target token."""


@dataclass(frozen=True, kw_only=True)
class TextNll:
    """How well a model predicts one held-out text: a row of text_nll.parquet."""

    when: When
    index: int
    """The text's place among those measured."""
    nll: float
    """Sum over predicted tokens of -log p, in nats."""
    tokens: int
    """Predicted tokens: all but the first."""


@dataclass(frozen=True, kw_only=True)
class Generation:
    """What a model writes after one prompt: a row of generations.parquet. Nothing is cleaned or cut."""

    request_id: str
    session: int
    """As in Score."""
    when: When
    kind: Literal["efficacy", "generalization", "generation", "chat", "implied", "implied_chat"]
    """The edited prompt, a paraphrase, a generation prompt, its question in a chat, or a question that it implies,
    which is continued (implied) or asked in a chat."""
    prompt_index: int
    """Place of the prompt among the edit's prompts of this kind."""
    decoding: Literal["greedy", "sampled"]
    """Greedy up to the end of the text; generation prompts are sampled to a fixed length."""
    prompt: str
    """An in-context edit comes before it, and is not part of it."""
    text: str
    """What follows the prompt, without end-of-text and other special tokens."""
    seed: int | None
    """Of a sampled text's random stream."""
    truncated: bool
    """Whether the model has too few positions, so that the in-context edit, or the prompt, lost its beginning."""


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """How far an edit moved what is said next after a locality prompt: a row of divergences.parquet."""

    request_id: str
    session: int
    """As in Score."""
    prompt_index: int
    """Place of the prompt among the edit's locality prompts."""
    prompt: str
    """Without the in-context edit that only the edited model reads."""
    kl: float
    """KL(unedited || edited) of the next token's distribution, in nats, at least 0."""


@dataclass(frozen=True, kw_only=True)
class Ability:
    """One metric of one example of a general-ability task: a row of abilities.parquet."""

    task: str
    session: int
    """As in Score."""
    when: When
    index: int
    """Place of the example among all documents of the task."""
    metric: str
    """With the harness's filter behind a comma, where a task has several."""
    gold: str
    answer: str
    """The continuation, or the choice that is likeliest; empty where nothing is said."""
    value: float | None
    """Of this example alone, where it has one; an accuracy is 0 or 1."""
    parts: tuple[float, ...]
    """What the metric is computed from over all examples, where that is no mean: say, counts of entities."""
    truncated: bool
    """Whether the prompt was too long for the model and lost its beginning (perplexity: the text lost its end)."""


FOUND = "; found "
"""Sets what was wanted apart from what was found, so that reasons can be counted by what was wanted."""


def scored_on(requests: Sequence[Request], prompts: Sequence[EvaluationPrompt]) -> list[Request]:
    """The requests, those without generalization prompts with the `prompts` that were written for them."""
    written: dict[str, list[str]] = {}
    for prompt in sorted(prompts, key=lambda prompt: prompt.prompt_index):
        written.setdefault(prompt.request_id, []).append(prompt.prompt)
    return [
        request if request.paraphrases else replace(request, paraphrases=tuple(written.get(request.request_id, ())))
        for request in requests
    ]
