"""lm-evaluation-harness on a model in memory: its tasks and ours (configs/abilities/), its loop, its result format.

The only module that imports lm_eval. Tasks are loaded once and run on as many models as there are sessions. The
harness's simple_evaluate seeds every global random stream, so its inner evaluate is called instead; what the former
sets on a task before (few-shot seed, no examples by default) is set here.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar, cast

from lm_eval.api import task as task_module
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.defaults import DEFAULT_MAX_GEN_TOKS
from lm_eval.evaluator import evaluate
from lm_eval.tasks import TaskManager
from lm_eval.utils import get_rolling_token_windows, handle_non_serializable, make_disjoint_window

from lib.core.errors import InputError
from lib.core.params import PRESETS, did_you_mean
from lib.core.run import progress
from lib.generation.decoding import continuations
from lib.generation.engine import EncodedPrompt, greedy
from lib.generation.texts import stopped, text_of
from lib.models.check import packed_for
from lib.models.likelihood import score_targets
from lib.models.packing import Item, batches
from lib.models.tokens import encode, prompt_ids

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TASKS = PRESETS / "abilities"
_PUBLISHED = "_published"
Results = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class LoadedTasks:
    """Tasks ready to run, and which of their documents are used."""

    tasks: Mapping[str, Any]
    """By the harness's name: a task read as published has a name of its own."""
    groups: Mapping[str, Any]
    indices: Mapping[str, Sequence[int]]
    """By the harness's name, ascending."""

    def ours(self, name: str) -> str:
        """The name without what marks a published reading."""
        return name.removesuffix(_PUBLISHED)

    def metadata(self) -> list[Mapping[str, Any]]:
        """What each task's YAML says of itself."""
        return [task.config.metadata or {} for task in self.tasks.values()]


def load(
    names: Sequence[str], *, published: bool, extra_metadata: Mapping[str, Any], limit: int | None, seed: int
) -> LoadedTasks:
    """The tasks and groups of these names, ours before the harness's own, with `limit` documents of each drawn.

    `extra_metadata` is added to the metadata of every task. With `published`, our tasks are taken in their published
    reading where they have one. Raises InputError for a name that neither knows.
    """
    with _quiet():
        manager = TaskManager(include_path=str(TASKS), include_defaults=False, metadata=dict(extra_metadata))
        resolved = [
            f"{name}{_PUBLISHED}" if published and f"{name}{_PUBLISHED}" in manager.all_tasks else name
            for name in names
        ]
        if not set(resolved) <= set(manager.all_tasks):  # reading the harness's 14,000 files takes half a minute
            manager = TaskManager(include_path=str(TASKS), metadata=dict(extra_metadata))
        for wanted_name in resolved:
            if wanted_name not in manager.all_tasks:
                visible = [name for name in manager.all_tasks if not name.endswith(_PUBLISHED)]
                raise InputError(
                    f"abilities.tasks: wanted tasks of configs/abilities or of lm-evaluation-harness; "
                    f"found {wanted_name!r}{did_you_mean(wanted_name, visible)}"
                )
        loaded = manager.load(resolved)
        for task in loaded["tasks"].values():
            task.set_fewshot_seed(seed=seed)
            if task.get_config("num_fewshot") is None:
                task.set_config(key="num_fewshot", value=0)
        indices = {
            name: drawn(len(task.eval_docs), limit, f"{seed}/{name.removesuffix(_PUBLISHED)}")
            for name, task in loaded["tasks"].items()
        }
    return LoadedTasks(tasks=loaded["tasks"], groups=loaded.get("groups", {}), indices=indices)


def drawn(count: int, limit: int | None, seed: str) -> list[int]:
    """Ascending, as the harness needs them: it numbers the documents of a subset in their own order."""
    return list(range(count)) if limit is None or limit >= count else sorted(Random(seed).sample(range(count), limit))


def run(loaded: LoadedTasks, model: MemoryModel) -> Results:
    """What the harness makes of these tasks: its result dictionary, `samples` with every answer among it.

    No standard errors (measure.py has intervals), no dates and no paths: the same run gives the same values.
    """
    with _quiet():
        evaluated = evaluate(
            lm=model,
            task_dict={"tasks": dict(loaded.tasks), "groups": dict(loaded.groups)},
            samples={name: list(indices) for name, indices in loaded.indices.items()},
            bootstrap_iters=0,
        )
    results: Results = json.loads(json.dumps(evaluated, default=handle_non_serializable))
    for config in results["configs"].values():
        config.get("metadata", {}).pop("config_source", None)
    return results


def _appended(context: str, continuation: str, _: object) -> str:
    """The harness's continuations begin with what parts them from their context."""
    return context + continuation


@contextmanager
def _quiet() -> Iterator[None]:
    """Within it, the harness logs errors only and draws no bars.

    It warns of every task that makes its own documents, and its bar, which passes in no time, is torn up by a log.
    """
    logger = logging.getLogger("lm_eval")
    level, bar = logger.level, task_module.tqdm
    logger.setLevel(logging.ERROR)
    task_module.tqdm = lambda documents, total: documents
    try:
        yield
    finally:
        logger.setLevel(level)
        task_module.tqdm = bar


@dataclass
class MemoryModel(LM):  # type: ignore[misc]  # lm_eval is untyped
    """A model and its tokenizer as the harness wants them. Greedy only.

    A prompt that is too long for the model loses its beginning; `truncated` collects those prompts.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    micro_batch_tokens: int
    """Tokens per forward pass: bounds memory, and moves a result by no more than rounding."""
    show_progress: bool = True
    """Whether a progress bar is."""
    truncated: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    @property
    def longest(self) -> int:
        """Tokens that the model takes at most."""
        return int(self.model.config.max_position_embeddings)

    def was_truncated(self, prompt: str) -> bool:
        """Whether the prompt was too long for the model."""
        return prompt in self.truncated

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        """(log p of the continuation in nats, whether it is the greedy one); a context is computed once for all."""
        positions: dict[str, list[int]] = {}
        for position, request in enumerate(requests):
            positions.setdefault(request.args[0], []).append(position)
        continuations_of = [[requests[position].args[1] for position in group] for group in positions.values()]
        items = encode(self.tokenizer, list(positions), continuations_of, together=_appended)
        shortened = [self._shortened(item, context) for item, context in zip(items, positions, strict=True)]
        groups = list(positions.values())
        answers: list[tuple[float, bool]] = [(0.0, False)] * len(requests)
        for index, scored in self._scored(shortened, "abilities: contexts"):
            for position, answer in zip(groups[index], scored, strict=True):
                answers[position] = answer
        return answers

    def loglikelihood_rolling(self, requests: Sequence[Instance]) -> list[float]:
        """log p of each text in nats, every token given those before it, the first one given the beginning of text."""
        first = self.tokenizer.bos_token_id if self.tokenizer.bos_token_id is not None else self.tokenizer.eos_token_id
        items: list[Item] = []
        owner: list[int] = []
        for position, request in enumerate(requests):
            ids = self.tokenizer(request.args[0], add_special_tokens=False).input_ids
            for window in get_rolling_token_windows(list(ids), first, self.longest, 1):
                before, predicted = make_disjoint_window(window)
                items.append(Item(prompt=tuple(before), targets=(tuple(predicted),)))
                owner.append(position)
        totals = [0.0] * len(requests)
        for index, ((value, _),) in self._scored(items, "abilities: texts"):
            totals[owner[index]] += value
        return totals

    def generate_until(self, requests: Sequence[Instance]) -> list[str]:
        """Greedy continuations.

        Beside the harness's own settings there is `rationale` {max_gen_toks, until, then}: the model first continues
        the prompt with a rationale of at most half of the tokens that it takes, then goes on after that and the text
        `then`; all three are returned.
        """
        groups: dict[str, list[int]] = {}
        for position, request in enumerate(requests):
            groups.setdefault(json.dumps(request.args[1], sort_keys=True), []).append(position)
        answers = [""] * len(requests)
        for options, positions in groups.items():
            settings = json.loads(options)
            if settings.get("do_sample"):
                raise InputError(
                    f"task {requests[positions[0]].task_name}: wants sampling; abilities are measured greedily"
                )
            prompts = [cast(str, requests[position].args[0]) for position in positions]
            before = [""] * len(prompts)
            if rationale := settings.get("rationale"):
                before = [
                    f"{rationale_text.rstrip()}{rationale['then']}"
                    for rationale_text in self._continued(prompts, rationale, most=self.longest // 2)
                ]
            last = self._continued([a + b for a, b in zip(prompts, before, strict=True)], settings)
            for position, prompt, reasons, answer in zip(positions, prompts, before, last, strict=True):
                answers[position] = reasons + answer
                if prompt + reasons in self.truncated:
                    self.truncated.add(prompt)
        return answers

    def _continued(self, prompts: Sequence[str], settings: Mapping[str, Any], most: int | None = None) -> list[str]:
        tokens = min(int(settings.get("max_gen_toks", DEFAULT_MAX_GEN_TOKS)), most or self.longest)
        until = settings.get("until") or []
        stop = [until] if isinstance(until, str) else until
        encoded = []
        for prompt in prompts:
            ids = prompt_ids(self.tokenizer, prompt)
            if len(ids) + tokens > self.longest:
                self.truncated.add(prompt)
            ids = ids[-max(1, self.longest - tokens) :]
            encoded.append(EncodedPrompt(ids=tuple(ids), tokens=tokens, end=self.tokenizer.eos_token_id))
        token_ids = continuations(
            self.model, encoded, greedy(), ended=stopped(self.tokenizer, stop), cache_tokens=self.micro_batch_tokens,
            show=lambda texts: self._shown(texts, "abilities: answers", len(encoded)),
        )  # fmt: skip
        return [text_of(self.tokenizer, ids, stop) for ids in token_ids]

    def _shown(self, items: Iterable[T], label: str, total: int) -> Iterable[T]:
        return progress(items, label, total) if self.show_progress else items

    def _shortened(self, item: Item, context: str) -> Item:
        room = self.longest + 1 - max(len(target) for target in item.targets)
        if len(item.prompt) <= room:
            return item
        self.truncated.add(context)
        return Item(prompt=item.prompt[-max(1, room) :], targets=item.targets)

    def _scored(self, items: Sequence[Item], label: str) -> Iterator[tuple[int, list[tuple[float, bool]]]]:
        """(place, one (log p, greedy) a target) of every item, longest first."""
        order = sorted(range(len(items)), key=lambda index: -items[index].length)
        cut = batches(items, self.micro_batch_tokens, order)
        for batch in self._shown(cut, label, len(cut)):
            scores = score_targets(self.model, packed_for(self.model, [items[index] for index in batch]))
            values = zip(scores.nll.tolist(), (scores.correct == scores.tokens).tolist(), strict=True)
            for index in batch:
                yield index, [(-nll, greedy) for nll, greedy in (next(values) for _ in items[index].targets)]
