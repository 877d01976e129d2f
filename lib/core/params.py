"""Every parameter of params.yaml: its meaning, unit and range, checked before anything runs.

The numbers themselves are in params.yaml and in the presets under configs/; this module holds none.
"""

import difflib
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML

from lib.core.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
PARAMS_FILE = ROOT / "params.yaml"
PRESETS = ROOT / "configs"

Auto = Literal["auto"]


class Section(BaseModel):
    """A group of parameters: frozen, no unknown keys, no conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


S = TypeVar("S", bound=Section)


class Facts(Section):
    """Which facts: stage `facts`."""

    split: Literal["test", "validation"] = Field(description="validation is for choosing hyper-parameters")
    limit: int | None = Field(ge=1, description="number of edits; null = all")
    pool_limit: int | None = Field(ge=1, description="number of pool facts; null = all")
    folder: str = Field(description="folder with the dataset's files; looked in before any download")
    extras: list[str] = Field(description="further files of the dataset's preset to use (its `extras`): snippets, text")
    text_limit: int | None = Field(ge=1, description="pieces of plain text, drawn at random; null = all")
    max_reject_share: float = Field(ge=0, le=1, description="more rejected rows than this share stop the stage")
    seed: int = Field(description="draws the world, and which prose is held out")


class Own(Section):
    """The user's own facts: dataset `own`."""

    path: str = Field(description="CSV, JSONL or Parquet with at least prompt and target_new")
    pool: str = Field(
        description="preset of the dataset whose unedited facts serve as neighbors, or none; auto: almanac, and world "
        "for the tiny model"
    )


class Recall(Section):
    """What the unedited model knows: stage `recall`."""

    sample: int = Field(ge=1, description="facts asked for where the dataset's preset has known: none; else all are")
    micro_batch_tokens: int = Field(ge=16, description="tokens per forward pass: bounds memory, not the result")
    seed: int = Field(description="draws the sample")


class Para(Section):
    """Training paraphrases: stage `paraphrase`."""

    method: Literal["auto", "fewshot", "prefix", "both", "given", "none"] = Field(
        description="fewshot, prefix: the dataset's training paraphrases and those that the model writes in that way; "
        "both; given: the dataset's alone; auto: given where train.objective is held, else both"
    )
    n: int = Field(ge=0, description="paraphrases kept per edit, after cleaning")
    evaluation: int = Field(ge=0, description="generalization prompts made for an edit whose dataset has none")
    backend: Literal["auto", "vllm", "transformers"]
    tensor_parallel: int = Field(ge=1, description="vllm: GPUs that one engine's model is spread over")
    seed: int
    temperature: float = Field(gt=0, description="of few-shot continuations")
    samples: int = Field(ge=1, description="few-shot continuations drawn per edit")
    max_tokens: int = Field(ge=8, description="longest few-shot continuation, in tokens")
    prefix_tokens: tuple[int, ...] | list[int] = Field(description="longest prefixes z, in tokens, used in turn")
    prefix_top_k: int = Field(ge=1, description="top-k of prefix sampling")


class Neighbors(Section):
    """Unedited facts trained beside the edits: stage `neighbors`."""

    kind: Literal["random", "similar", "none"]
    n: int = Field(ge=0, description="neighbors per edit")
    encoder: str = Field(
        description="hashing (nothing to fetch), minilm, or a sentence-transformers model by folder or hub name"
    )
    index: str = Field(description="FAISS index factory string")
    seed: int


class Train(Section):
    """Optimisation: stage `edit`. `auto` takes the model preset's value."""

    objective: Literal["published", "held"] | Auto = Field(
        description="published: the paper's loss on pairs of prompt and target; held: the same on the edits, and KL to "
        "the unedited model on what comes after the object and on everything else; auto: held where the preset has it"
    )
    after: float | Auto = Field(description="held: weight of the KL at the tokens after the edits' objects")
    keep: float | Auto = Field(
        description="held: weight of the KL on prompts of unedited facts, on plain text and on chat answers, of each"
    )
    mask_prompt: bool = Field(description="true: loss on target tokens only; false: on prompt tokens as well")
    epochs: int | Auto = Field(description="passes over the pairs; held: over the edits, each in one of its forms")
    lr: float | Auto = Field(description="peak learning rate of AdamW; cosine to 0")
    batch_size: int | Auto = Field(description="pairs (held: edits) per optimiser step, over all processes")
    micro_batch_tokens: int = Field(
        ge=16, description="tokens per forward pass and process: bounds memory, not the result"
    )
    checkpoint_steps: int = Field(ge=1, description="steps between checkpoints to resume from")
    dpo: float = Field(ge=0, lt=1, description="share a of the DPO loss; needs facts with target_true and mask_prompt")
    dpo_beta: float = Field(gt=0, description="DPO's beta")
    text: float = Field(ge=0, lt=1, description="share g of the loss on plain text (the dataset's, or Wikipedia)")
    text_examples: int = Field(ge=1, description="pieces of plain text per step, where text is not 0")
    seed: int


class Protocol(Section):
    """How edits are applied: all at once; each alone on the unedited model; or batch after batch on the same model."""

    kind: Literal["mass", "single", "sequential"]
    batch_size: int = Field(ge=1, description="sequential: edits of a batch")
    checkpoints: list[int] = Field(description="sequential: numbers of edits after which everything is scored")
    together: int | Auto = Field(
        description="single: edits that share forward passes (speed, not result); auto: by memory"
    )


class Regularize(Section):
    """What is done to an edit after the editor has made it."""

    method: Literal["none", "rect", "random", "pca", "prune"]
    keep: float = Field(gt=0, le=100, description="percent of every weight matrix's update that is kept; not prune's")
    seed: int = Field(description="of method random")


class Weights(Section):
    """Figures and heat maps of what an edit changes in the weights: stage `edit`."""

    thresholds: list[float] = Field(description="of |dW / W|: the share of entries above each is counted")
    sessions: int = Field(
        ge=0, description="sequential: up to so many sessions, figures after each; of more, at the checkpoints"
    )
    rank_side: int = Field(ge=1, description="longest smaller side of a matrix whose rank is found; low-rank ones' are")
    maps: int = Field(ge=0, description="heat maps: of so many weights, the most changed ones")
    map_side: int = Field(ge=1, description="of a heat map: at most so many rows and columns")


class Greedy(Section):
    """Greedy continuations of the edited prompts and their paraphrases."""

    tokens: int = Field(ge=1, description="their length, or the target's and one more where that is longer")
    limit: int | None = Field(ge=0, description="edits they are made for, the first ones; null = all")


class Generations(Section):
    """Sampled continuations of the generation prompts: what fluency and consistency are measured on."""

    tokens: int = Field(ge=1, description="length of a text, its prompt included; published: 100")
    top_k: int = Field(ge=1, description="each token is drawn from so many likeliest; published: 5")
    seed: int = Field(description="with edit and prompt it determines a text's random stream")
    limit: int | None = Field(ge=0, description="edits they are made for, the first ones; null = all")


class PlainTexts(Section):
    """Held-out plain text on which the harm of an edit is measured: perplexity_ratio."""

    limit: int | None = Field(ge=0, description="texts, drawn at random; null = all")
    tokens: int = Field(ge=2, description="the first tokens of each")
    seed: int = Field(description="draws the texts")


class Scoring(Section):
    """Stage `score`."""

    micro_batch_tokens: int = Field(ge=16, description="tokens per forward pass: bounds memory, not the result")
    rows: int = Field(ge=1, description="texts that are written at a time: bounds memory; moves logits by rounding")
    examples: int = Field(ge=0, description="edits whose greedy continuation the report shows")
    greedy: Greedy
    generations: Generations
    plain_texts: PlainTexts


class Frequencies(Section):
    """How much words weigh in consistency: stage `frequencies`."""

    folder: str | None = Field(
        description="folder with the published idf.npy and tfidf_vocab.json; null = fitted on the dataset's texts"
    )


class Abilities(Section):
    """Stage `abilities`."""

    tasks: list[str] = Field(
        description="names or groups of configs/abilities (eight: the paper's) or of lm-evaluation-harness"
    )
    mode: Literal["corrected", "published"] = Field(
        description="corrected: what the paper says is measured; published: what its released code computes"
    )
    limit: int | None = Field(ge=1, description="examples of each task, drawn at random; null = all")
    seed: int = Field(description="draws the examples, the world's questions, and the intervals' resamples")
    folder: str | None = Field(description="folder with the tasks' data files; null = the hub, at pinned revisions")
    text_tokens: int = Field(ge=2, description="perplexity: the first tokens of each held-out text")
    checkpoints: bool = Field(description="sequential: true measures at every checkpoint; false at the end only")
    micro_batch_tokens: int = Field(
        ge=16, description="tokens per forward pass: bounds memory; moves results by rounding"
    )


class Statistics(Section):
    """Second moments of MLP keys over the dataset's plain text: stage `statistics`."""

    n_samples: int = Field(ge=1, description="texts, at most; the papers take 100,000 of Wikipedia")
    micro_batch_tokens: int = Field(ge=16, description="tokens per forward pass: bounds memory")
    seed: int = Field(description="draws the texts")


class Lora(Section):
    """LoRA as in the paper's released run, adapted to the model's module names."""

    r: int = Field(ge=1)
    alpha: float = Field(gt=0)
    targets: list[str] = Field(min_length=1, description="last names of the modules that get an adapter")
    layers: list[int] | None = Field(
        default=None,
        min_length=2,
        max_length=2,
        description="first and last block whose modules get one, counted from 0; null = all",
    )


class Held(Section):
    """The objective that holds what an edit must leave alone (lib/methods/training/holding.py)."""

    lora: Lora
    epochs: int = Field(ge=1, description="passes over the edits, each in one of its forms")
    lr: float = Field(gt=0)
    batch_size: int = Field(ge=1, description="edits per optimiser step")
    warmup: int = Field(ge=0, description="steps in which the rate rises")
    beta2: float = Field(gt=0, lt=1, description="decay of AdamW's second moment")
    plain_share: float = Field(ge=0, le=1, description="how often an edit stands in its own prompt")
    prefixed: int = Field(ge=0, description="forms of an edit that are its prompt after a sentence of plain text")
    subject_only: float = Field(
        ge=0,
        le=1,
        description="share of the forms in training on which the adapter works at the subject's tokens alone",
    )
    after: float = Field(ge=0, description="weight of the KL at the tokens after the edits' objects")
    after_tokens: int = Field(ge=0, description="such tokens, written by the unedited model")
    keep: float = Field(ge=0, description="weight of the KL on each kind of what is kept")
    prompts: int = Field(ge=0, description="prompts of unedited facts, and of edits about other subjects, a step")
    contrasts: int = Field(ge=0, description="other subjects that every edit's template is held for")
    texts: int = Field(ge=0, description="pieces of plain text a step")
    text_tokens: int = Field(ge=2, description="length of a piece, in tokens")
    chats: int = Field(ge=0, description="chat questions a step, where the tokenizer has a template")
    chat_tokens: int = Field(ge=0, description="length of the unedited model's answer to each, in tokens")
    whiten: float | None = Field(
        gt=0,
        description="ridge of the inputs' second moment whose inverse factor stands before the adapter; null = none",
    )
    whiten_texts: int = Field(ge=0, description="pieces of plain text that the second moment is taken over")


class Recipe(Section):
    """The model's own optimisation settings, which `auto` in params.yaml's train section takes."""

    epochs: int = Field(ge=1)
    lr: float = Field(gt=0)
    batch_size: int = Field(ge=1)
    held: Held | None = Field(description="the same for train.objective held; null = the model is trained as published")


class Tiny(Section):
    """The small model that stage `base` trains from scratch."""

    hidden: int = Field(description="hidden size")
    layers: int
    heads: int
    inner: int = Field(description="MLP inner size")
    max_vocabulary: int = Field(description="whole words kept, most frequent first; the rest is spelled in bytes")
    longest: int = Field(description="longest training document, in tokens")
    step_tokens: int = Field(description="training tokens a step, about")
    steps: int
    lr: float = Field(description="peak learning rate of AdamW; warm-up, then linear to 0")
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

    source: Literal["tiny", "hub", "folder", "wheel", "gguf"]
    name: str = Field(description="hub id, folder, or GGUF file; for tiny and wheel a label")
    revision: str | None = Field(pattern=r"^[0-9a-f]{40}$", description="pinned commit of a hub model")
    wheels: Wheels | None = Field(description="the GGUF file of source wheel")
    terms: str | None = Field(
        description="terms of use, as they are named where the model is published; stage base prints them, and accepts "
        "none for you"
    )
    dtype: Literal["float32", "bfloat16", "float16"] = Field(description="on a GPU; CPU always computes in float32")
    lora: Lora
    train: Recipe
    tiny: Tiny | None


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
    return para.model_copy(update={"method": "given" if train.objective == "held" else "both"})


def with_held_lora(model: Model, train: Train) -> Model:
    """The preset with the adapter that the objective in force trains; `train` has every `auto` resolved."""
    if train.objective != "held" or model.train.held is None:
        return model
    return model.model_copy(update={"lora": model.train.held.lora})


def with_pool(own: Own, model: Model) -> Own:
    """`own` with the pool that `auto` stands for: facts that the model can know."""
    if own.pool != "auto":
        return own
    return own.model_copy(update={"pool": "world" if model.source == "tiny" else "almanac"})


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
    own: dict[str, Any] = {"after": 0.0, "keep": 0.0, **recipe.model_dump(exclude={"held"})}
    if objective == "held" and recipe.held is not None:
        own |= recipe.held.model_dump(include={*own})
    resolved = {name: value for name, value in own.items() if getattr(train, name) == "auto"}
    return train.model_copy(update={"objective": objective, **resolved})


def read_params(path: Path = PARAMS_FILE) -> dict[str, Any]:
    """params.yaml as plain values (YAML 1.2, so 5e-05 is a number)."""
    values: dict[str, Any] = YAML(typ="safe", pure=True).load(path.read_text())
    return values


def section(name: str, kind: type[S], path: Path = PARAMS_FILE) -> S:
    """One section of params.yaml, checked. Raises InputError naming file, key, what was wanted and what was found."""
    values = read_params(path)
    if name not in values:
        raise InputError(f"{path.name}: section {name!r} is absent; it holds {_keys(kind)}")
    return check(values[name], kind, f"{path.name}: {name}")


def presets(group: str) -> list[str]:
    """The names of all presets in configs/<group>/."""
    return sorted(one.stem for one in (PRESETS / group).glob("*.yaml"))


def preset(group: str, name: str, kind: type[S]) -> S:
    """The preset configs/<group>/<name>.yaml, checked. Raises InputError with the nearest name where there is none."""
    path = PRESETS / group / f"{name}.yaml"
    if not path.is_file():
        known = presets(group)
        raise InputError(f"{group[:-1]}: wanted one of {', '.join(known)}; found {name!r}{did_you_mean(name, known)}")
    return check(read_params(path), kind, f"configs/{group}/{name}.yaml")


def editor_preset(name: str, model: str, kind: type[S]) -> S:
    """configs/editors/<name>.yaml with what its `models` says of this model preset put over the rest, checked.

    Raises InputError naming a wrong key, or a model preset that does not exist.
    """
    path = PRESETS / "editors" / f"{name}.yaml"
    if not path.is_file():
        return preset("editors", name, kind)
    values = dict(read_params(path))
    by_model = values.pop("models", {})
    if unknown := sorted(set(by_model) - {*presets("models")}):
        known = presets("models")
        raise InputError(
            f"configs/editors/{name}.yaml: models: wanted model presets ({', '.join(known)}); found {unknown[0]!r}"
            f"{did_you_mean(unknown[0], known)}"
        )
    own = by_model.get(model, {})
    return check(_over(values, own), kind, f"configs/editors/{name}.yaml{f': models.{model}' if own else ''}")


def _over(values: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """`values` with those of `own` put over them, key by key, also inside of nested sections."""
    nested = {
        key: _over(values[key], value)
        for key, value in own.items()
        if isinstance(value, dict) and isinstance(values.get(key), dict)
    }
    return values | own | nested


def check(values: Any, kind: type[S], where: str) -> S:
    """`values` as a `kind`. Raises InputError naming each wrong key with what was wanted and found."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise InputError("\n".join(_explain(one, kind, where) for one in error.errors())) from None


def did_you_mean(name: str, known: list[str]) -> str:
    """'. Did you mean X?' where a known name is near, else nothing."""
    near = difflib.get_close_matches(name, known, n=1)
    return f". Did you mean {near[0]!r}?" if near else ""


def _explain(error: Any, kind: type[Section], where: str) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = list(kind.model_fields)
        return f"{where}.{key}: unknown key{did_you_mean(key, known)} (known: {', '.join(known)})"
    if error["type"] == "missing":
        return f"{where}.{key}: absent; {_meaning(kind, key)}"
    return f"{where}.{key}: {error['msg']}; found {error['input']!r}. {_meaning(kind, key)}"


def _meaning(kind: type[Section], key: str) -> str:
    field = kind.model_fields.get(key.split(".")[0])
    return (field.description if field and field.description else f"one of {_keys(kind)}") or ""


def _keys(kind: type[Section]) -> str:
    return ", ".join(kind.model_fields)
