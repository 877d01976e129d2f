"""General abilities of one model: the harness's tasks and perplexity, as rows, as figures, and as the harness reports.

A figure's interval is 95 %: 1.96 standard errors, of the mean (std with ddof 0 / sqrt N) where the metric is a mean,
else of the metric over resamples of the examples (bootstrap).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.abilities import answers, harness
from lib.abilities.edited_model import EditedModel
from lib.abilities.pool_tasks import CHOICES
from lib.core.files import read_json, write_json
from lib.core.params import Abilities
from lib.core.records import Ability, Fact, When
from lib.core.run import progress
from lib.core.tables import read, write
from lib.core.texts import normalize
from lib.edits.edit import Edit
from lib.edits.in_force import EditInForce
from lib.models.perplexity import text_scores
from lib.models.sharding import join_uneven
from lib.runtime.distributed import SINGLE_PROCESS, Distributed

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PERPLEXITY = "perplexity"
OF_THE_POOL = ("pool_recall", "world_yes_no", "world_four_choice")
RESAMPLES = 200
_Z95 = 1.96


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One metric of one task."""

    task: str
    metric: str
    value: float
    ci95: float
    """Half the width of the interval."""
    n: int
    """Examples that were used."""
    of: int
    """Examples that the task has."""
    unit: str
    """percent; perplexity; or harness, which is whatever the harness's own task reports."""
    chance: float | None
    """What guessing gives, where that is known."""
    truncated: int
    """Examples whose prompt was too long for the model."""
    source: str
    """The file, or the hub's dataset and revision, that the examples are from."""
    in_scope: int | None = None
    """Examples whose prompt is in the edit's scope; None for an edit without one."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a model can do. A task's first figure is its headline."""

    rows: list[Ability]
    figures: list[Figure]
    harness: dict[str, Any]
    """The harness's own results, without its samples."""


@dataclass(frozen=True, kw_only=True)
class Measurer:
    """Measures the same examples on every model."""

    tasks: harness.LoadedTasks
    texts: Sequence[str]
    """Held-out texts for perplexity; none where it is not asked for."""
    settings: Abilities
    distributed: Distributed = SINGLE_PROCESS
    """All do the same, which the first one tells: they are several only where the model is spread over them."""

    def run(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, when: When, session: int = 0,
        edit: Edit | None = None,
    ) -> Measured:  # fmt: skip
        """Everything on this model, with the edit as who asks the model has it: in its scope alone."""
        in_force = EditInForce.of(model, edit or Edit(updates={}), model.device.type)
        with join_uneven(model):
            return self._run(tokenizer, in_force, when, session)

    def _run(self, tokenizer: PreTrainedTokenizerBase, in_force: EditInForce, when: When, session: int) -> Measured:
        perplexity = self._perplexity(tokenizer, in_force, when, session) if self.texts else None
        rows, figures = ([*perplexity[0]], [perplexity[1]]) if perplexity else ([], [])
        results: dict[str, Any] = {}
        if self.tasks.tasks:
            memory = EditedModel(
                in_force.model, tokenizer, self.settings.micro_batch_tokens, show_progress=self.distributed.is_main,
                in_force=in_force,
            )  # fmt: skip
            results = harness.run(self.tasks, memory)
            for name, samples in results.pop("samples").items():
                rows += [
                    row for sample in samples for row in _rows(self.tasks.ours(name), sample, memory, when, session)
                ]
                figures += self._figures(name, samples, results, memory)
        return Measured(rows=rows, figures=figures, harness=results)

    def remembered(self, folder: Path, make: Callable[[], tuple[Any, Any]]) -> Measured:
        """`run` before any edit, on the model and tokenizer that `make` gives, or what an earlier run left there."""
        table, rest = folder / "abilities.parquet", folder / "figures.json"
        if not self.distributed.broadcast(rest.is_file()):
            measured = self.run(*make(), "before")
            if self.distributed.is_main:
                write(table, Ability, measured.rows)
                write_json(
                    rest, {"figures": [asdict(figure) for figure in measured.figures], "harness": measured.harness}
                )
        self.distributed.barrier()
        stored = read_json(rest)
        figures = [Figure(**values) for values in stored["figures"]]
        return Measured(rows=read(table, Ability), figures=figures, harness=stored["harness"])

    def _perplexity(
        self, tokenizer: PreTrainedTokenizerBase, in_force: EditInForce, when: When, session: int
    ) -> tuple[list[Ability], Figure]:
        indices = harness.drawn(len(self.texts), self.settings.limit, f"{self.settings.seed}/{PERPLEXITY}")
        texts = [self.texts[index] for index in indices]
        scores = in_force.answers(
            texts,
            lambda part: text_scores(
                in_force.model, tokenizer, [texts[index] for index in part], self.settings.text_tokens,
                self.settings.micro_batch_tokens, self._shown,
            ),
        )  # fmt: skip
        scored = [(index, score) for index, score in zip(indices, scores, strict=True) if score is not None]
        published = self.settings.mode == "published"
        formula = answers.published_perplexity if published else answers.perplexity
        parts = [(text_score.nll, float(text_score.predicted), float(text_score.tokens)) for _, text_score in scored]
        rows = [
            Ability(
                task=PERPLEXITY,
                session=session,
                when=when,
                index=index,
                metric=PERPLEXITY,
                gold="",
                answer="",
                value=formula([part]),
                parts=part,
                truncated=text_score.tokens == self.settings.text_tokens,
            )
            for (index, text_score), part in zip(scored, parts, strict=True)
        ]
        figure = Figure(
            task=PERPLEXITY,
            metric=PERPLEXITY,
            value=formula(parts),
            ci95=_Z95 * standard_error(formula, parts, self.settings.seed),
            n=len(parts),
            of=len(self.texts),
            unit=PERPLEXITY,
            chance=None,
            truncated=sum(row.truncated for row in rows),
            source="text.parquet",
            in_scope=in_force.in_scope([self.texts[index] for index, _ in scored]),
        )
        return rows, figure

    def _shown(self, batches: Sequence[list[int]]) -> Iterable[list[int]]:
        return progress(batches, "abilities: texts", size=len) if self.distributed.is_main else batches

    def _figures(self, name: str, samples: Sequence[Any], results: dict[str, Any], memory: EditedModel) -> list[Figure]:
        task, collected = self.tasks.tasks[name], []
        about = task.config.metadata or {}
        unit = str(about.get("unit", "harness"))
        first = samples[0]
        by_filter = {
            filter_name: [sample for sample in samples if sample["filter"] == filter_name]
            for filter_name in _filters(samples)
        }
        for label, used in by_filter.items():
            for metric in first["metrics"]:
                values = [sample[metric] for sample in used if metric in sample]
                error = standard_error(task.aggregation().get(metric, _mean), values, self.settings.seed)
                results["results"][name][f"{metric}_stderr,{label}"] = error
                scale = 100 if unit == "percent" else 1
                collected.append(
                    Figure(
                        task=self.tasks.ours(name),
                        metric=_named(metric, label),
                        value=scale * results["results"][name][f"{metric},{label}"],
                        ci95=scale * _Z95 * error,
                        n=len(used),
                        of=len(task.eval_docs),
                        unit=unit,
                        chance=about.get("chance"),
                        truncated=sum(memory.was_truncated(_prompt(sample)) for sample in used),
                        source=str(first["doc"].get("source", "pool.parquet" if unit == "percent" else "harness")),
                        in_scope=memory.in_force.in_scope([_prompt(sample) for sample in used]),
                    )
                )
        return collected


def standard_error(aggregate: Callable[[Any], float], values: Sequence[Any], seed: int) -> float:
    """That of the mean where `aggregate` is called mean, else the deviation of `aggregate` over resamples."""
    if aggregate.__name__.strip("_") == "mean":
        return float(np.std(values)) / math.sqrt(len(values))
    random = np.random.default_rng(seed)
    draws = [[values[index] for index in random.integers(0, len(values), len(values))] for _ in range(RESAMPLES)]
    return float(np.std([aggregate(resample) for resample in draws]))


def unfit(pool: Sequence[Fact]) -> str | None:
    """Why the tasks made from the pool cannot be made from this one; None where they can."""
    different = len({normalize(fact.target) for fact in pool})
    if different >= CHOICES and len(pool) > CHOICES:
        return None
    return f"the pool has {len(pool)} facts with {different} different answers; the tasks made from it need more than 4"


def _rows(task: str, sample: Mapping[str, Any], memory: harness.MemoryModel, when: When, session: int) -> list[Ability]:
    return [
        Ability(
            task=task,
            session=session,
            when=when,
            index=sample["doc_id"],
            metric=_named(metric, sample["filter"]),
            gold=_gold(sample),
            answer=_answer(sample),
            value=float(sample[metric]) if isinstance(sample[metric], int | float) else None,
            parts=_numbers(sample[metric]),
            truncated=memory.was_truncated(_prompt(sample)),
        )
        for metric in sample["metrics"]
    ]


def _filters(samples: Sequence[Any]) -> list[str]:
    return list(dict.fromkeys(sample["filter"] for sample in samples))


def _named(metric: str, label: str) -> str:
    return metric if label == "none" else f"{metric},{label}"


def _prompt(sample: Mapping[str, Any]) -> str:
    return str(sample["arguments"][0][0])


def _is_choice(sample: Mapping[str, Any]) -> bool:
    return isinstance(sample["target"], int) and len(sample["arguments"]) > 1


def _gold(sample: Mapping[str, Any]) -> str:
    target = sample["target"]
    if _is_choice(sample):
        return str(sample["arguments"][target][1]).strip()
    return target.strip() if isinstance(target, str) else json.dumps(target, ensure_ascii=False)


def _answer(sample: Mapping[str, Any]) -> str:
    responses = sample["filtered_resps"]
    if _is_choice(sample):
        return str(sample["arguments"][int(np.argmax([response[0] for response in responses]))][1]).strip()
    return responses[0] if isinstance(responses[0], str) else ""


def _numbers(value: Any) -> tuple[float, ...]:
    flat = value if isinstance(value, list) else []
    return tuple(float(number) for number in flat) if all(isinstance(number, int | float) for number in flat) else ()


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
