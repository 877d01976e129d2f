"""Which keys of params.yaml have an effect under which of the other settings: the table behind lib/core/effects.py.

What a key belongs to stands in its meaning (lib/core/sections.py), too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lib.core.needs import Needs, editor_needs, editors_where
from lib.core.presets import Dataset, Model, with_method
from lib.core.recipes import with_recipe

if TYPE_CHECKING:
    from lib.core.root import Params

FEWSHOT = ("fewshot", "prefix", "both", "given", "none")
"""para.method: those with which texts are written by few-shot continuation, if only the ones to evaluate on."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """All settings, with every `auto` resolved, and the presets in use."""

    root: Params
    model: Model
    dataset: Dataset

    @cached_property
    def needs(self) -> Needs:
        """What the editor declares of itself."""
        return editor_needs(self.root.editor)

    @classmethod
    def of(cls, root: Params, model: Model, dataset: Dataset) -> Run:
        """`root` as lib/core/root.py leaves it."""
        train = with_recipe(root.train, model.train)
        resolved = root.model_copy(update={"train": train, "para": with_method(root.para, train)})
        return cls(root=resolved, model=model, dataset=dataset)

    @property
    def finds_keywords(self) -> bool:
        """Whether the sentence encoder finds the edits' keywords."""
        return self.needs.recipe and self.root.train.objective == "held"

    @property
    def is_in_turn(self) -> bool:
        """Whether sessions follow one another on the same model."""
        protocol = self.root.protocol
        return protocol.kind == "sequential" or (protocol.kind == "mass" and protocol.mode == "published")


@dataclass(frozen=True)
class Condition:
    """Keys that have an effect only where something holds."""

    under: str
    """The key whose value decides."""
    holds: Callable[[Run], bool]
    where: str | Callable[[], str]
    """What must be so for an effect, after "where"; a function where the editors' sources say it."""
    keys: Mapping[str, Any]
    """Each with its value in the repository's params.yaml."""


def value_at(root: Any, key: str) -> Any:
    """The value of `key`, whose names are joined by dots, in a record or in nested mappings."""
    for name in key.split("."):
        root = root[name] if isinstance(root, Mapping) else getattr(root, name)
    return root


def _is(under: str, values: tuple[str, ...], keys: Mapping[str, Any]) -> Condition:
    """The key is one of the values."""
    return Condition(under, lambda run: value_at(run.root, under) in values, f"{under} is {' or '.join(values)}", keys)


def _is_not(under: str, value: str | int, keys: Mapping[str, Any]) -> Condition:
    return Condition(under, lambda run: value_at(run.root, under) != value, f"{under} is not {value}", keys)


def _editor(holds: Callable[[Needs], bool], keys: Mapping[str, Any]) -> Condition:
    """The editor declares such needs."""
    return Condition(
        "editor", lambda run: holds(run.needs), lambda: f"editor is {' or '.join(editors_where(holds))}", keys
    )


def _above_zero(under: str, keys: Mapping[str, Any]) -> Condition:
    return Condition(under, lambda run: value_at(run.root, under) > 0, f"{under} is above 0", keys)


CONDITIONS: tuple[Condition, ...] = (
    Condition(
        "model", lambda run: run.model.source == "tiny", "the model is trained from scratch (model=tiny)", {"seed": 0}
    ),
    Condition(
        "dataset", lambda run: run.dataset.loader == "own", "dataset is own",
        {"own.path": "examples/own_facts.csv", "own.pool": "auto"},
    ),
    Condition(
        "dataset", lambda run: run.dataset.known == "none", "the dataset's preset has known: none; else all are asked",
        {"recall.sample": 1000},
    ),
    Condition(
        "dataset", lambda run: run.dataset.known == "pool", "the dataset's preset has known: pool (own)",
        {"recall.locality": 2},
    ),
    Condition(
        "dataset", lambda run: run.dataset.known != "all", "the dataset's preset has known: none or pool",
        {"recall.seed": 0},
    ),
    _is_not("para.method", "none", {"para.n": 10}),
    _is("para.method", FEWSHOT, {"para.temperature": 1.0, "para.max_tokens": 120}),
    _is_not("para.method", "rules", {"para.samples": 2}),
    _is("para.method", ("prefix", "both"),
        {"para.prefix_tokens": [5, 10, 10], "para.prefix_top_k": 5, "para.prefixes": "each"}),
    _is("para.method", ("chat", "rewrite"),
        {"para.chat_temperature": 0.7, "para.chat_tokens": 20, "para.chat_distance": 0.15}),
    _is("para.method", ("rules", "rewrite"), {"para.rules_distance": 0.45}),
    _is_not("neighbors.kind", "none", {"neighbors.n": 20}),
    _is("neighbors.kind", ("random",), {"neighbors.seed": 0}),
    _is("neighbors.kind", ("similar",), {"neighbors.index": "Flat"}),
    Condition(
        "neighbors.kind",
        lambda run: run.root.neighbors.kind == "similar" or run.finds_keywords,
        "neighbors.kind is similar, or the editor finds keywords (lora with train.objective=held)",
        {"neighbors.encoder": "auto"},
    ),
    _editor(lambda needs: needs.second_moments,
        {"statistics.n_samples": 100_000, "statistics.micro_batch_tokens": 8192, "statistics.seed": 0}),
    _editor(lambda needs: needs.recipe, {
        "train.after": "auto", "train.keep": "auto", "train.mask_prompt": True, "train.masking": "corrected",
        "train.epochs": "auto", "train.lr": "auto", "train.batch_size": "auto", "train.dpo": 0.0,
        "train.dpo_beta": 0.5, "train.dpo_pairs": "corrected", "train.text": 0.0, "train.text_examples": 4,
    }),
    _editor(lambda needs: needs.seeded, {"train.seed": 0}),
    _is("train.objective", ("held",), {"train.after": "auto", "train.keep": "auto"}),
    _above_zero("train.dpo", {"train.dpo_beta": 0.5, "train.dpo_pairs": "corrected"}),
    _above_zero("train.text", {"train.text_examples": 4}),
    _is("protocol.kind", ("sequential",), {"protocol.batch_size": 1, "protocol.checkpoints": []}),
    _is("protocol.kind", ("single",), {"protocol.together": "auto", "weights.single_edits": 100}),
    _is("protocol.mode", ("corrected",), {"protocol.together": "auto"}),
    Condition(
        "editor", lambda run: not run.needs.weightless,
        lambda: f"the editor changes weights (any but {', '.join(editors_where(lambda needs: needs.weightless))})",
        {"regularize.method": "none", "regularize.mode": "corrected", "regularize.keep": 40, "regularize.seed": 0,
         "scope.encoder": None},
    ),
    Condition(
        "scope.encoder", lambda run: run.root.scope.encoder is not None, "scope.encoder names one",
        {"scope.threshold": 0.7},
    ),
    _is("regularize.method", ("pca",), {"regularize.mode": "corrected"}),
    _is("regularize.method", ("rect", "random", "pca"), {"regularize.keep": 40}),
    _is("regularize.method", ("random",), {"regularize.seed": 0}),
    Condition(
        "protocol.kind", lambda run: run.is_in_turn,
        "protocol.kind is sequential, or mass with protocol.mode=published", {"weights.sessions": 50},
    ),
    _is("protocol.kind", ("mass", "sequential"), {"weights.maps": 4, "weights.map_side": 64}),
    _above_zero("weights.maps", {"weights.map_side": 64}),
    _is_not("score.greedy.limit", 0, {"score.greedy.tokens": 12}),
    _is_not("score.generations.limit", 0,
            {"score.generations.tokens": 100, "score.generations.top_k": 5, "score.generations.seed": 0}),
    _is_not("score.plain_texts.limit", 0, {"score.plain_texts.tokens": 128, "score.plain_texts.seed": 0}),
    Condition(
        "abilities.tasks", lambda run: "perplexity" in run.root.abilities.tasks, "abilities.tasks has perplexity",
        {"abilities.text_tokens": 100},
    ),
    _is("protocol.kind", ("sequential",), {"abilities.checkpoints": True}),
    Condition(
        "protocol.checkpoints", lambda run: bool(run.root.protocol.checkpoints), "protocol.checkpoints has numbers",
        {"abilities.checkpoints": True},
    ),
)  # fmt: skip
"""Of several for one key the first that does not hold is told."""
