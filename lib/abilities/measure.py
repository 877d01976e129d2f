"""General abilities of one model: tasks of the harness and perplexity, as rows, as figures, as the harness has them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lib.abilities import harness
from lib.abilities.edited_model import EditedModel
from lib.abilities.figures import Z95, Figure, standard_error
from lib.abilities.perplexity import perplexity
from lib.abilities.pool_tasks import CHOICES
from lib.core.files import read_json, write_json
from lib.core.params import Abilities
from lib.core.records import Ability, Fact, When
from lib.core.run import progress
from lib.core.tables import read, write
from lib.core.texts import normalize
from lib.edits.edit import Edit
from lib.edits.in_force import EditInForce
from lib.models.sharding import join_uneven
from lib.runtime.distributed import SINGLE_PROCESS, Distributed

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

OF_THE_POOL = ("pool_recall", "world_yes_no", "world_four_choice")


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
        rows, figures = list[Ability](), list[Figure]()
        if self.texts:
            rows, figure = perplexity(self.texts, tokenizer, in_force, self.settings, when, session, self._shown)
            figures = [figure]
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
                        ci95=scale * Z95 * error,
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
