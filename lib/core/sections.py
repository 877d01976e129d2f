"""The sections of params.yaml: every parameter's meaning, unit and range. The numbers are in params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from lib.core.section import Section

Auto = Literal["auto"]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]


class Facts(Section):
    """Which facts: stage `facts`."""

    split: Literal["test", "validation"] = Field(description="validation is for choosing hyper-parameters")
    limit: Count | Auto | None = Field(description="number of edits; null = all; auto = the dataset preset's")
    draw: Literal["first", "random"] = Field(
        description="which records are edits: the first ones of the split, in their order, or drawn with facts.seed, "
        "in the order drawn; a larger limit draws the same ones first"
    )
    pool_limit: int | None = Field(ge=1, description="number of pool facts, drawn with facts.seed; null = all")
    folder: str = Field(description="folder with the dataset's files; looked in before any download")
    extras: list[str] = Field(description="further files of the dataset's preset to use (its `extras`): snippets, text")
    text_limit: int | None = Field(ge=1, description="pieces of plain text, drawn at random; null = all")
    max_reject_share: float = Field(ge=0, le=1, description="more rejected rows than this share stop the stage")
    seed: int = Field(ge=0, description="draws the world, the edits (draw: random), and which prose is held out")

    @property
    def edits(self) -> int | None:
        """The number of edits; None = all. Raises ValueError where `auto` has not been resolved (with_limit)."""
        if self.limit == "auto":
            raise ValueError("facts.limit: auto must be replaced by the dataset preset's value before facts are read")
        return self.limit


class Own(Section):
    """The user's own facts: dataset `own`."""

    path: str = Field(description="CSV, JSON, JSONL or Parquet with at least prompt and target_new")
    pool: str = Field(
        description="preset of the dataset whose unedited facts serve as neighbors, or none; auto: almanac, and world "
        "for the tiny model"
    )


class Recall(Section):
    """What the unedited model knows: stage `recall`."""

    sample: int = Field(ge=1, description="facts asked for where the dataset's preset has known: none; else all are")
    micro_batch_tokens: int = Field(ge=16, description="tokens per forward pass: bounds memory, not the result")
    locality: int = Field(
        ge=0,
        description="own facts: known facts of the pool that a fact without locality prompts is scored on: so many "
        "about its subject, where there are, and about others; a quarter of the pool at most, never trained on",
    )
    seed: int = Field(ge=0, description="draws the sample, and the locality prompts of own facts")


class Para(Section):
    """Training paraphrases: stage `paraphrase`."""

    method: Literal["auto", "fewshot", "prefix", "both", "rules", "chat", "rewrite", "given", "none"] = Field(
        description="fewshot, prefix: the dataset's training paraphrases and those that the model writes in that way; "
        "both; rules: by English grammar; chat: by a chat model that is told to; rewrite: by rules, and by chat where "
        "these are too few; given: the dataset's alone; auto: rewrite where train.objective is held, or para.model is "
        "set, else both"
    )
    model: str | None = Field(
        description="chat: what writes, a folder with a chat model, or the address of an OpenAI-compatible server "
        "(http://127.0.0.1:8000/v1, #name for a model of several); null = the unedited model"
    )
    n: int = Field(ge=0, description="paraphrases kept per edit, after cleaning")
    evaluation: int = Field(ge=0, description="generalization prompts made for an edit whose dataset has none")
    backend: Literal["auto", "vllm", "transformers"] = Field(
        description="what writes the texts; auto: vllm where it is installed, else transformers"
    )
    tensor_parallel: int = Field(ge=1, description="vllm: GPUs that one engine's model is spread over")
    seed: int = Field(ge=0, description="of everything that this section draws")
    temperature: float = Field(gt=0, description="of few-shot continuations")
    samples: int = Field(ge=1, description="few-shot continuations drawn per edit")
    max_tokens: int = Field(ge=8, description="longest few-shot continuation, in tokens")
    prefix_tokens: list[Count] = Field(min_length=1, description="longest prefixes z, in tokens, used in turn")
    prefix_top_k: int = Field(ge=1, description="top-k of prefix sampling")
    prefixes: Literal["each", "shared"] = Field(
        description="each: prefixes z are drawn anew for every edit, as the paper's formula says; shared: all edits "
        "have the same ones, as in its released code"
    )
    chat_temperature: float = Field(gt=0, description="of chat answers; samples are drawn for each of two instructions")
    chat_tokens: int = Field(ge=8, description="longest chat answer, in tokens")
    chat_distance: float = Field(
        ge=0,
        description="chat: largest Jensen-Shannon distance, in nats (at most 0.69), of the unedited model's next token "
        "after a paraphrase from that after the prompt",
    )
    rules_distance: float = Field(ge=0, description="rules: the same")
    micro_batch_tokens: int = Field(ge=16, description="distances: tokens per forward pass, which bounds memory")


class Neighbors(Section):
    """Unedited facts trained beside the edits: stage `neighbors`."""

    kind: Literal["auto", "random", "similar", "none"] = Field(
        description="which facts of the pool: drawn at random, or with the most similar prompts; auto: the dataset's"
    )
    n: int = Field(ge=0, description="neighbors per edit")
    encoder: str = Field(
        description="auto, hashing (nothing to fetch), minilm, or a sentence-transformers model by folder or hub name; "
        "auto = hashing for the model that is trained from scratch, else minilm"
    )
    index: str = Field(description="FAISS index factory string")
    seed: int = Field(ge=0, description="of everything that this section draws")

    @property
    def are_requested(self) -> bool:
        """Whether unedited facts are to be trained on beside the edits."""
        return self.kind != "none" and self.n > 0


class Train(Section):
    """Optimisation: stage `edit`. `auto` takes the model preset's value."""

    objective: Literal["published", "held"] | Auto = Field(
        description="published: the paper's loss on pairs of prompt and target; held: the same on the edits, and KL to "
        "the unedited model on what comes after the object and on everything else; auto: held where the preset has it"
    )
    after: NonNegative | Auto = Field(description="held: weight of the KL at the tokens after the edits' objects")
    keep: NonNegative | Auto = Field(
        description="held: weight of the KL on prompts of unedited facts, on plain text and on chat answers, of each"
    )
    mask_prompt: bool = Field(description="true: loss on target tokens only; false: on prompt tokens as well")
    masking: Literal["corrected", "published"] = Field(
        description="published: the loss of the released code: with mask_prompt of every token whose id is one of the "
        "target's, else of all tokens and of padding; of plain text with padding"
    )
    epochs: Count | Auto = Field(description="passes over the pairs; held: over the edits, each in one of its forms")
    lr: Positive | Auto = Field(description="peak learning rate of AdamW; cosine to 0")
    batch_size: Count | Auto = Field(description="pairs (held: edits) per optimiser step, over all processes")
    micro_batch_tokens: int = Field(
        ge=16, description="tokens per forward pass and process: bounds memory, not the result"
    )
    checkpoint_steps: int = Field(ge=1, description="steps between checkpoints to resume from; one a minute, too")
    dpo: float = Field(ge=0, lt=1, description="share a of the DPO loss; needs facts with target_true and mask_prompt")
    dpo_beta: float = Field(gt=0, description="DPO's beta")
    dpo_pairs: Literal["corrected", "published"] = Field(
        description="corrected: DPO's pairs are of edits and their paraphrases; published: of neighbors too, their own "
        "object against the other one of their record, and with the end of text behind both"
    )
    text: float = Field(ge=0, lt=1, description="share g of the loss on plain text (the dataset's, or Wikipedia)")
    text_examples: int = Field(ge=1, description="pieces of plain text per step, where text is not 0")
    seed: int = Field(ge=0, description="of everything that this section draws")


class Protocol(Section):
    """How edits are applied: all at once; each alone on the unedited model; or batch after batch on the same model."""

    kind: Literal["mass", "single", "sequential"] = Field(
        description="all at once; each alone on the unedited model; batch after batch on the same model"
    )
    mode: Literal["corrected", "published"] = Field(
        description="published: as releases apply edits: mass, one request after another; sequential, the first batch "
        "alone (both RECT's); single, each edit begins where the one before ended (the paper's full fine-tuning)"
    )
    batch_size: int = Field(ge=1, description="sequential: edits of a batch")
    checkpoints: list[Count] = Field(description="sequential: numbers of edits after which everything is scored")
    together: Count | Auto = Field(
        description="single: edits that share forward passes (speed, not result); auto: by memory"
    )


class Regularize(Section):
    """What is done to an edit after the editor has made it."""

    method: Literal["none", "rect", "random", "pca", "prune"] = Field(
        description="rect, random, pca: of what every session adds; prune: of the sum of all sessions"
    )
    mode: Literal["corrected", "published"] = Field(
        description="published: pca leaves the components' scores in the first outputs, as RECT's release does, and "
        "does not transform them back"
    )
    keep: float = Field(gt=0, le=100, description="percent of every weight matrix's update that is kept; not prune's")
    seed: int = Field(ge=0, description="of method random")


class ScopeSettings(Section):
    """For which prompts the edit is in force: stages `score` and `abilities`, and whoever asks the edited model."""

    encoder: str | None = Field(
        description="hashing, minilm, or a sentence-transformers model by folder or hub name: the edit is in force for "
        "prompts near one of its facts alone; null: for every prompt"
    )
    threshold: float = Field(ge=-1, le=1, description="least cosine of a prompt, or its last sentence, with a fact's")


class Weights(Section):
    """Figures and heat maps of what an edit changes in the weights: stage `edit`; of single edits stage `score`."""

    thresholds: list[Positive] = Field(description="of |dW / W|: the share of entries above each is counted")
    sessions: int = Field(
        ge=0, description="sequential: up to so many sessions, figures after each; of more, at the checkpoints"
    )
    single_edits: int | None = Field(
        ge=0, description="single: figures of so many edits, the first ones, each by itself; null = of all"
    )
    rank_side: int = Field(ge=1, description="longest smaller side of a matrix whose rank is found; low-rank ones' are")
    maps: int = Field(
        ge=0,
        description="heat maps: of so many weights, the most changed ones; after the last edit and at every checkpoint",
    )
    map_side: int = Field(ge=1, description="of a heat map: at most so many rows and columns")


class Greedy(Section):
    """Greedy continuations of the edited prompts and their paraphrases."""

    tokens: int = Field(ge=1, description="their length, or the target's and one more where that is longer")
    limit: int | None = Field(ge=0, description="edits they are made for, the first ones; null = all")


class Generations(Section):
    """Sampled continuations of the generation prompts: what fluency and consistency are measured on."""

    tokens: int = Field(ge=1, description="length of a text, its prompt included; published: 100")
    top_k: int = Field(ge=1, description="each token is drawn from so many likeliest; published: 5")
    seed: int = Field(ge=0, description="with edit and prompt it determines a text's random stream")
    limit: int | None = Field(ge=0, description="edits they are made for, the first ones; null = all")


class PlainTexts(Section):
    """Held-out plain text on which the harm of an edit is measured: perplexity_ratio."""

    limit: int | None = Field(ge=0, description="texts, drawn at random; null = all")
    tokens: int = Field(ge=2, description="the first tokens of each")
    seed: int = Field(ge=0, description="draws the texts")


class Scoring(Section):
    """Stage `score`."""

    micro_batch_tokens: int = Field(ge=16, description="tokens per forward pass: bounds memory, not the result")
    rows: int = Field(ge=1, description="texts that are written at a time: bounds memory; moves logits by rounding")
    examples: int = Field(ge=0, description="edits whose greedy continuation the report shows")
    greedy: Greedy
    generations: Generations
    plain_texts: PlainTexts
    judge: str | None = Field(
        description="a chat model that says of each greedy text whether it gives the new object, beside exact match: a "
        "preset of configs/models, a folder, a GGUF file, or an OpenAI-compatible address; null = none"
    )

    @property
    def left_out(self) -> tuple[str, ...]:
        """What is not measured, since its limit is 0: a line each."""
        effects = {
            "greedy": (self.greedy.limit, "no text is written, so neither exact match nor a verdict is measured"),
            "generations": (self.generations.limit, "neither fluency nor consistency is measured"),
            "plain_texts": (
                self.plain_texts.limit,
                "neither the perplexity ratio nor whether the edit is safe is measured",
            ),
        }
        return tuple(f"score.{name}.limit=0: {effect}" for name, (limit, effect) in effects.items() if limit == 0)


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
    seed: int = Field(ge=0, description="draws the examples, the world's questions, and the intervals' resamples")
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
    seed: int = Field(ge=0, description="draws the texts")
