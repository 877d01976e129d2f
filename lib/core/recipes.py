"""How a model is trained: its adapter, and the recipes of both objectives that its preset has (configs/recipes)."""

import math
from typing import Annotated, Any, Literal, TypedDict

from pydantic import Field

from lib.core.errors import InputError
from lib.core.section import Section
from lib.core.sections import Train


class Lora(Section):
    """LoRA as in the paper's released run, adapted to the model's module names."""

    r: int = Field(ge=1)
    alpha: float = Field(gt=0)
    targets: list[str] = Field(min_length=1, description="last names of the modules that get an adapter")
    layers: list[int] | None = Field(
        default=None,
        min_length=2,
        max_length=2,
        description="first and last block whose modules get one, counted from 0; null = all, or as depth says",
    )
    depth: list[Annotated[float, Field(ge=0, le=1)]] | None = Field(
        default=None,
        min_length=2,
        max_length=2,
        description="the same as shares of the model's depth, where layers is null; null = all",
    )

    @property
    def is_everywhere(self) -> bool:
        """Whether the modules of all blocks get one."""
        return self.layers is None and self.depth is None

    def blocks(self, count: int) -> tuple[int, int]:
        """The first and the last block that is adapted, of so many."""
        shares = self.depth or (0, 1)
        first, last = self.layers or (min(count - 1, round(share * count)) for share in shares)
        return first, last


_BESIDE = ("prompts", "chat_prompts", "earlier")
"""Counts of the objective held that are of a step with batch_size edits."""
_DRIFT = 1.5
"""Power of `crowd` that the weight of the drift is divided by."""
_FEW = 30
"""Fewer edits than these pay more for drift."""


class Held(Section):
    """The objective that holds what an edit must leave alone (lib/methods/training/holding.py)."""

    lora: Lora
    epochs: int = Field(ge=1, description="passes over the edits, each in one of its forms")
    least_steps: int = Field(
        ge=1, description="optimiser steps at least, where train.epochs is auto: few edits get more epochs"
    )
    lr: float = Field(gt=0)
    batch_size: int = Field(ge=1, description="edits per optimiser step, at least")
    most_steps: int = Field(
        ge=1,
        description="optimiser steps at most, where train.epochs and train.batch_size are auto: of many edits a step "
        "takes more at a time, and as many more prompts beside them",
    )
    together: int = Field(
        ge=1,
        description="different subjects at once that most_steps, lr and drift are for: of more the steps are as many "
        "times more and slower, and drift weighs less",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        description="in which the frozen model computes while the adapter, in float32, is trained; auto: bfloat16 on a "
        "CPU that has it in hardware, else as the model is loaded"
    )
    warmup: int = Field(ge=0, description="steps in which the rate rises")
    beta2: float = Field(gt=0, lt=1, description="decay of AdamW's second moment")
    plain_share: float = Field(ge=0, le=1, description="how often an edit stands in its own prompt")
    paraphrase_share: float = Field(
        ge=0, le=1, description="how often in one of its paraphrases, where it has any; other forms share the rest"
    )
    prefixed: int = Field(ge=0, description="forms of an edit that are its prompt after a sentence of plain text")
    words_left_out: int = Field(ge=0, description="forms of an edit that are a prompt without some of its words")
    questions: int = Field(ge=0, description="forms of an edit that are questions, as many again in the chat template")
    keywords: int = Field(
        ge=0,
        description="forms of an edit that are made of words which ask for it, found by the sentence encoder "
        "(neighbors.encoder; none with hashing)",
    )
    after: float = Field(ge=0, description="weight of the KL at the tokens after the edits' objects")
    after_tokens: int = Field(ge=0, description="such tokens, written by the unedited model")
    keep: float = Field(ge=0, description="weight of the KL on each kind of what is kept")
    prompts: int = Field(ge=0, description="prompts of unedited facts, and of edits about other subjects, a step")
    contrasts: int = Field(ge=0, description="other subjects that every edit's template is held for")
    chat_prompts: int = Field(
        ge=0, description="chat questions about unedited facts a step, where the tokenizer has a template"
    )
    earlier: int = Field(
        ge=0,
        description="edits of before a step, held to the model that has them: those of earlier batches in a sequential "
        "run, and with `errata add` those of the edit that is in the weights",
    )
    texts: int = Field(ge=0, description="pieces of plain text a step")
    text_tokens: int = Field(ge=2, description="length of a piece, in tokens")
    chats: int = Field(ge=0, description="chat questions a step, where the tokenizer has a template")
    chat_tokens: int = Field(ge=0, description="length of the unedited model's answer to each, in tokens")
    moment_texts: int = Field(ge=0, description="pieces of plain text that the inputs' second moment is taken over")
    ridge: float = Field(gt=0, description="added to that moment, in units of its mean diagonal, before it is inverted")
    drift: float = Field(
        ge=0,
        description="weight, in the loss of a step, of the adapter's drift (what it adds to ordinary inputs' outputs), "
        "of thirty edits and more with a subject each; fewer pay 30 / edits times as much",
    )
    drift_sharing: float = Field(
        ge=0, description="edits that share subjects pay less for drift: subjects / edits to this power"
    )

    def drift_weight(self, edits: int, subjects: int) -> float:
        """Weight of the drift in the loss of a step, whose other terms are means over edits.

        A subject brings its directions to the adapter, whose drift adds up over subjects; all edits about it share
        them, and need the more room in them the more they are. Beyond `together` subjects the sum would outweigh every
        edit's own loss: the weight falls. Fewer than _FEW edits have the larger shares of a step's loss, and learn
        what they need at a larger weight: one that is to a single edit what `drift` is to each of _FEW.
        """
        shared = math.pow(subjects / edits, self.drift_sharing)
        return self.drift * shared * math.pow(self.crowd(subjects), -_DRIFT) * max(1.0, _FEW / edits)

    def crowd(self, subjects: int) -> float:
        """How many times `together` so many subjects are, at least 1."""
        return max(1.0, subjects / self.together)

    def of_edits(self, edits: int, subjects: int) -> "Held":
        """The recipe for so many edits: larger steps, with as many more prompts beside them, up to `together` subjects.

        Of more subjects there are more steps instead, as much slower: one for some of them moves what the others share.
        """
        most_steps = round(self.most_steps * self.crowd(subjects))
        batch = max(self.batch_size, math.ceil(edits * self.epochs / most_steps))
        beside = {name: round(getattr(self, name) * batch / self.batch_size) for name in _BESIDE}
        lr = self.lr / self.crowd(subjects)
        return self.model_copy(update={"lr": lr, "most_steps": most_steps, "batch_size": batch, **beside})


class Recipe(Section):
    """The model's own optimisation settings, which `auto` in params.yaml's train section takes."""

    epochs: int = Field(ge=1)
    least_steps: int = Field(
        ge=1, description="optimiser steps at least, where train.epochs is auto: few edits get more epochs"
    )
    lr: float = Field(gt=0)
    batch_size: int = Field(ge=1)
    held: Held | None = Field(
        description="the same for train.objective held, or the name of a file of configs/recipes that has it; null = "
        "the model is trained as published"
    )


class StepLimits(TypedDict):
    """How many optimiser steps a training makes."""

    least_steps: int
    most_steps: int | None
    """None = as many as epochs and batch size make."""


def step_limits(train: Train, recipe: Recipe) -> StepLimits:
    """At least, and at most; `train` as params.yaml has it, for it is `auto` alone that has limits.

    A recipe's epochs are those of its paper's thousands of pairs, of which a few edits would be a few steps; with the
    objective held many edits get larger batches in place of more steps, where the batch size is `auto` as well.
    """
    if train.epochs != "auto":
        return {"least_steps": 1, "most_steps": None}
    held = recipe.held if with_recipe(train, recipe).objective == "held" else None
    if held is None:
        return {"least_steps": recipe.least_steps, "most_steps": None}
    return {"least_steps": held.least_steps, "most_steps": held.most_steps if train.batch_size == "auto" else None}


def with_recipe(train: Train, recipe: Recipe) -> Train:
    """`train` with every `auto` replaced by the model's own value.

    Raises InputError where train.objective is held and the preset has no recipe for it.
    """
    objective = train.objective if train.objective != "auto" else "held" if recipe.held else "published"
    if objective == "held" and recipe.held is None:
        raise InputError(
            "train.objective: held wants the section train.held in the model's preset; found null. Copy the one of "
            "configs/models/smollm2-135m.yaml, or take train.objective=published"
        )
    own: dict[str, Any] = {"after": 0.0, "keep": 0.0, **recipe.model_dump(exclude={"held", "least_steps"})}
    if objective == "held" and recipe.held is not None:
        own |= recipe.held.model_dump(include={*own})
    resolved = {name: value for name, value in own.items() if getattr(train, name) == "auto"}
    return train.model_copy(update={"objective": objective, **resolved})
