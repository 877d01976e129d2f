"""The presets under configs/: what a model, a dataset and a sentence encoder are made of."""

from pathlib import PurePath
from typing import Literal

from pydantic import Field

from lib.core.recipes import Held, Lora, Recipe, StepLimits, step_limits, with_recipe
from lib.core.section import Section
from lib.core.sections import Facts, Neighbors, Own, Para, Train

ModelSource = Literal["tiny", "hub", "folder", "wheel", "gguf"]
ModelDtype = Literal["float32", "bfloat16", "float16"]
ModelTemplate = Literal["auto", "none"]


class Tiny(Section):
    """The small model that stage `base` trains from scratch."""

    hidden: int = Field(ge=1, description="hidden size")
    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    inner: int = Field(ge=1, description="MLP inner size")
    max_vocabulary: int = Field(ge=1, description="whole words kept, most frequent first; the rest is spelled in bytes")
    longest: int = Field(ge=2, description="longest training document, in tokens")
    step_tokens: int = Field(ge=1, description="training tokens a step, about")
    steps: int = Field(ge=1)
    lr: float = Field(gt=0, description="peak learning rate of AdamW; warm-up, then linear to 0")
    fewshot_share: float = Field(ge=0, le=1, description="share of training text in few-shot paraphrase documents")


class Wheel(Section):
    """A pinned wheel of the package index, and the file in it that is used."""

    package: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="name in the package index")
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.!+]*$", description="exact version, in quotes")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the wheel")
    member: str = Field(min_length=1, description="path in the wheel of the file, or of its part")


class Wheels(Section):
    """One file that wheels hold, in one piece or in parts."""

    parts: list[Wheel] = Field(min_length=1, description="wheels whose members, one after the other, are the file")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the file, its parts joined")


class Encoder(Section):
    """A sentence encoder that has a name: configs/encoders/<name>.yaml."""

    terms: str = Field(description="terms of use, as they are named where it is published")
    wheels: Wheels = Field(description="where it is: a zip archive of a sentence-transformers folder")


class Model(Section):
    """A model preset: configs/models/<name>.yaml."""

    source: ModelSource
    name: str = Field(description="hub id, folder, or GGUF file; for tiny and wheel a label")
    revision: str | None = Field(pattern=r"^[0-9a-f]{40}$", description="pinned commit of a hub model")
    wheels: Wheels | None = Field(description="the GGUF file of source wheel")
    terms: str | None = Field(
        description="terms of use, as they are named where the model is published; stage base prints them, and accepts "
        "none for you"
    )
    template: ModelTemplate = Field(
        description="auto: questions are asked in the tokenizer's chat template, where it has one; none: never"
    )
    dtype: ModelDtype = Field(description="on a GPU; CPU always computes in float32")
    lora: Lora
    train: Recipe
    tiny: Tiny | None

    @property
    def public_name(self) -> str:
        """What an edit that is passed on calls its base: never a path of this machine."""
        return public_name(self.source, self.name)


def public_name(source: str, name: str) -> str:
    """The name of a model, of a preset or a manifest, without the path of a folder or file on this machine."""
    return PurePath(name).name if source in ("folder", "gguf") else name


class SourceFile(Section):
    """One file that a dataset is made of."""

    name: str = Field(min_length=1, description="looked for in facts.folder, then in the cache of downloads")
    urls: list[str] = Field(description="where to download it: mirrors, tried in order")
    sha256: str | None = Field(
        pattern=r"^[0-9a-f]{64}$", description="of the published file; null = that of its first use"
    )


class Neighborhood(Section):
    """Locality prompts drawn from CounterFact, for a dataset that has none of its own (wikirecent).

    CounterFact's records are parted by their place: the first ones for test edits, the next for validation edits; the
    facts of all others are the pool.
    """

    n: int = Field(ge=0, description="prompts per edit")
    test: float = Field(ge=0, le=1, description="share of CounterFact's records whose prompts test edits get")
    validation: float = Field(ge=0, le=1, description="the same, of validation edits")


class Dataset(Section):
    """A dataset preset: configs/datasets/<name>.yaml."""

    loader: str = Field(description="module in lib/datasets/")
    known: Literal["none", "pool", "all"] = Field(
        description="what is left out where the model does not know it: nothing; facts of the pool; requests as well"
    )
    metric: Literal["success", "accuracy"] = Field(description="the headline measure of an edit")
    limit: int | None = Field(ge=1, description="number of edits where facts.limit is auto; null = all")
    neighbors: Literal["random", "similar"] = Field(
        description="neighbors.kind where it is auto: similar where facts have no relation by which others are near"
    )
    target: Literal["answers", "alt"] | None = Field(
        description="which object zsre edits to: answers (ROME) or alt (RECT); null for other datasets"
    )
    neighborhood: Neighborhood | None = Field(description="how wikirecent draws locality prompts; null for others")
    files: dict[str, SourceFile] = Field(description="files by their role")
    extras: dict[str, SourceFile] = Field(
        description="files that are used where facts.extras names their role: snippets (references), text (plain text)"
    )


def with_method(para: Para, train: Train) -> Para:
    """`para` with the method that `auto` stands for; `train` has every `auto` resolved."""
    if para.method != "auto":
        return para
    rewrites = train.objective == "held" or para.model is not None
    return para.model_copy(update={"method": "rewrite" if rewrites else "both"})


def with_held_lora(model: Model, train: Train) -> Model:
    """The preset with the adapter that the objective in force trains; `train` has every `auto` resolved."""
    if train.objective != "held" or model.train.held is None:
        return model
    return model.model_copy(update={"lora": model.train.held.lora})


class Training(StepLimits):
    """How a model is trained: the fields of an editor's Context (lib/methods/context.py) that say so."""

    held: Held | None
    """None where the published objective is in force."""
    train: Train
    """With every `auto` resolved."""
    lora: Lora
    own_rate: bool
    """Whether train.lr is a number of the user's own, which is taken as it is."""


def training(train: Train, model: Model) -> Training:
    """How this model is trained: `train` as params.yaml has it, and where it says `auto` the preset's own value.

    Raises InputError where train.objective is held and the preset has no recipe for it.
    """
    resolved = with_recipe(train, model.train)
    return {
        **step_limits(train, model.train),
        "held": model.train.held if resolved.objective == "held" else None,
        "train": resolved,
        "lora": with_held_lora(model, resolved).lora,
        "own_rate": train.lr != "auto",
    }


def with_limit(facts: Facts, dataset: Dataset) -> Facts:
    """`facts` with the number of edits that `auto` stands for."""
    return facts.model_copy(update={"limit": dataset.limit}) if facts.limit == "auto" else facts


def with_neighbors(neighbors: Neighbors, model: Model, dataset: Dataset) -> Neighbors:
    """`neighbors` with what `auto` stands for: the dataset's kind, and a trained encoder for every pretrained model."""
    kind, encoder = neighbors.kind, neighbors.encoder
    if kind == "auto":
        kind = dataset.neighbors
    if encoder == "auto":
        encoder = "hashing" if model.source == "tiny" else "minilm"
    return neighbors.model_copy(update={"kind": kind, "encoder": encoder})


def with_pool(own: Own, model: Model) -> Own:
    """`own` with the pool that `auto` stands for: facts that the model can know."""
    if own.pool != "auto":
        return own
    return own.model_copy(update={"pool": "world" if model.source == "tiny" else "almanac"})
