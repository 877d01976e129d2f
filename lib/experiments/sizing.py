"""What edit, score and paraphrase need at size: memory and time from a model's shapes, before anything is run.

A pass over a model with N weights in its matrices takes the longest of three: its arithmetic, 2 N operations a token
forward, and 2 N backward where the weights are frozen (their own gradients, another 2 N, are not needed); reading the
weights from memory; and starting its operations one by one. Attention's part is below 1 % at prompts of 15 tokens.
What training keeps for the backward pass is not estimated but counted, on a model without storage.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from lib.core.params import Lora
from lib.edits.adapter import Adapter, new_adapter
from lib.models.architecture import architecture
from lib.models.likelihood import hidden_states
from lib.models.packing import Item, pack

_DTYPE = torch.bfloat16
BYTES = 2
"""Of a weight and of an activation in it."""
TRAINED_BYTES = 20
"""Of a trained value in float32: itself, its gradient, two moments, and its place in the exchange of gradients."""
RUNTIME_GIB = 1.0
"""Of a CUDA context and its libraries' workspaces."""
_COUNTED_ROWS, _COUNTED_TOKENS = 4, 64
_LONGEST_TEXT = 100
"""Tokens of a text of stage score, about."""
HOUR = 3600


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What of a model its cost depends on."""

    weights: int
    """All parameters; a tied head counts once."""
    matrix_weights: int
    """Of the matrices that every token is multiplied with, the head left out."""
    block_weights: int
    """Parameters of all blocks: what is spread over the processes with ERRATA_SHARD=1."""
    layers: int
    hidden: int
    inner: int
    """The largest output of a matrix, the head left out."""
    vocabulary: int
    adapter: int
    """Values of the LoRA adapter."""
    saved: float
    """Bytes a token that training keeps for the backward pass."""
    cache: int
    """Bytes of keys and values a token in decoding."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """A processor."""

    name: str
    peak: float
    """Floating-point operations a second in the model's dtype."""
    share: float
    """Of the peak that is reached in large products."""
    memory: float
    """Bytes a second that its memory delivers."""
    link: float
    """Bytes a second between two of them."""
    layer_seconds: float
    """To start one layer's operations in one direction, adapter included: the least that a layer takes."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """How much is to be done, and in what portions."""

    edits: int
    pairs: int
    pair_tokens: float
    """Mean length of prompt and target."""
    target_tokens: float
    """Mean length of a target."""
    epochs: int
    batch_size: int
    """Pairs a step, over all processes."""
    micro_batch_tokens: int
    """Tokens a pass, in one process."""
    prompts: int
    """Evaluation prompts an edit."""
    targets: int
    """Targets a prompt."""
    greedy_tokens: int
    """Of stage score's greedy continuations of an edit's prompts: steps of all of them, prompts included."""
    passage_tokens: int
    """Of its sampled texts: tokens of all of an edit's, prompts included."""
    text_rows: int
    """Texts that it writes together."""
    paraphrase_tokens: int
    """Tokens generated an edit."""
    paraphrase_batch: int
    """Sequences that are decoded together."""
    paraphrase_context: int
    """Mean tokens that a sequence looks back on, the few-shot part included."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """What one stage needs."""

    gib: float
    """GPU memory of every process."""
    hours: float
    """Until all processes are done."""


def shape_of_model(config: PretrainedConfig, lora: Lora) -> Shape:
    """The shape of the model that `config` describes, counted on a model without storage."""
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=_DTYPE)
    model.eval().requires_grad_(False)
    head = model.get_output_embeddings()
    matrices = [module for module in model.modules() if isinstance(module, nn.Linear | Conv1D) and module is not head]
    adapter = new_adapter(model, lora, seed=0)
    heads = int(config.num_attention_heads)
    head_size = int(getattr(config, "head_dim", None) or config.hidden_size // heads)
    layers = int(config.num_hidden_layers)
    return Shape(
        weights=_count(model.parameters()),
        matrix_weights=_count(module.weight for module in matrices),
        block_weights=_count(model.get_submodule(architecture(model).blocks).parameters()),
        layers=layers,
        hidden=int(config.hidden_size),
        inner=max(max(module.weight.shape) for module in matrices),
        vocabulary=int(config.vocab_size),
        adapter=_count(adapter.parameters()),
        saved=_saved(model, adapter),
        cache=2 * layers * int(getattr(config, "num_key_value_heads", heads)) * head_size * BYTES,
    )


def _saved(model: nn.Module, adapter: Adapter) -> float:
    """Bytes a token that autograd keeps between the two passes, weights and adapter left out."""
    items = [Item(prompt=tuple(range(_COUNTED_TOKENS - 4)), targets=((0, 1, 2, 3, 4),))] * _COUNTED_ROWS
    saved: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with adapter.attached(model), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden_states(model, pack(items).to("meta"))
    own = {parameter.untyped_storage()._cdata for parameter in (*model.parameters(), *adapter.parameters())}
    # The adapter in the model's dtype is kept as well, once a pass: 2 bytes a value, not a token.
    size = sum(tensor.untyped_storage().nbytes() for storage, tensor in saved.items() if storage not in own)
    return (size - BYTES * _count(adapter.parameters())) / (_COUNTED_ROWS * _COUNTED_TOKENS)


def _count(tensors: Iterable[Tensor]) -> int:
    """How many values these tensors have together."""
    return sum(tensor.numel() for tensor in tensors)


def edit_need(shape: Shape, work: Work, device: Device, processes: int = 1, sharded: bool = False) -> Need:
    """Conditional fine-tuning: frozen weights, an adapter in training, what one pass keeps, logits of its targets."""
    held, gathered = held_weights(shape, processes, sharded)
    tokens = work.batch_size * work.pair_tokens / processes  # of a step, in one process
    passes = max(1, math.ceil(tokens / work.micro_batch_tokens))
    predicted = tokens / passes * work.target_tokens / work.pair_tokens
    operations = 4 * shape.matrix_weights * tokens / passes + 4 * shape.hidden * shape.vocabulary * predicted
    exchange = 2 * (1 - 1 / processes) * 4 * shape.adapter / device.link
    update = 2 * TRAINED_BYTES * shape.adapter / device.memory
    seconds = passes * pass_seconds(shape, device, operations, 2, gathered) + exchange + update
    logits = 3 * 4 * predicted * shape.vocabulary
    activations = min(tokens, work.micro_batch_tokens) * shape.saved
    memory = held + shape.adapter * (TRAINED_BYTES + BYTES) + activations + logits
    steps = work.epochs * math.ceil(work.pairs / work.batch_size)
    return Need(gib=memory / 2**30 + RUNTIME_GIB, hours=steps * seconds / HOUR)


def score_need(shape: Shape, work: Work, device: Device, processes: int = 1, sharded: bool = False) -> Need:
    """Every evaluation prompt with its targets, before and after; prompts are computed once for all their targets."""
    held, gathered = held_weights(shape, processes, sharded)
    tokens = 2 * work.edits * work.prompts * (work.pair_tokens + (work.targets - 1) * work.target_tokens)
    heads = 2 * work.edits * work.prompts * work.targets * work.target_tokens
    passes = math.ceil(tokens / work.micro_batch_tokens)
    operations = (2 * shape.matrix_weights * tokens + 2 * shape.hidden * shape.vocabulary * heads) / passes
    seconds = math.ceil(passes / processes) * pass_seconds(shape, device, operations, 1, gathered)
    logits = 2 * 4 * heads / passes * shape.vocabulary
    memory = held + work.micro_batch_tokens * 6 * shape.inner * BYTES + logits
    return Need(gib=memory / 2**30 + RUNTIME_GIB, hours=seconds / HOUR)


def text_need(shape: Shape, work: Work, device: Device, processes: int = 1, sharded: bool = False) -> Need:
    """What stage score writes, before and after: a step reads all weights for one token of every row of a batch."""
    held, gathered = held_weights(shape, processes, sharded)
    steps = 2 * work.edits * (work.greedy_tokens + work.passage_tokens) / work.text_rows / processes
    operations = 2 * shape.weights * work.text_rows
    longest = work.text_rows * _LONGEST_TEXT * shape.cache
    memory = held + longest + 4 * 8 * work.text_rows * shape.vocabulary
    seconds = steps * pass_seconds(shape, device, operations, 1, gathered)
    return Need(gib=memory / 2**30 + RUNTIME_GIB, hours=seconds / HOUR)


def paraphrase_need(shape: Shape, work: Work, device: Device, processes: int = 1) -> Need:
    """Decoding: a step reads all weights once for a batch, and every sequence's keys and values."""
    steps = math.ceil(work.edits * work.paraphrase_tokens / work.paraphrase_batch / processes)
    held = work.paraphrase_batch * work.paraphrase_context * shape.cache
    arithmetic = 2 * shape.weights * work.paraphrase_batch / (device.peak * device.share)
    seconds = max(arithmetic, (shape.weights * BYTES + held) / device.memory)
    return Need(gib=(shape.weights * BYTES + held) / 2**30 + RUNTIME_GIB, hours=steps * seconds / HOUR)


def held_weights(shape: Shape, processes: int, sharded: bool) -> tuple[float, float]:
    """Bytes of weights that a process holds, and those that it gathers from the others for every pass.

    Spread blocks are whole two at a time: the one in use and the next.
    """
    blocks = shape.block_weights * BYTES
    if not sharded:
        return shape.weights * BYTES, 0.0
    unsharded = shape.weights * BYTES - blocks
    return unsharded + blocks / processes + 2 * blocks / shape.layers, blocks * (1 - 1 / processes)


def pass_seconds(shape: Shape, device: Device, operations: float, directions: int, gathered: float) -> float:
    """Seconds of one pass: forward (1 direction), or forward and backward (2). Gathering goes on beside it."""
    return max(
        directions * gathered / device.link,
        operations / (device.peak * device.share),
        directions * shape.weights * BYTES / device.memory,
        directions * shape.layers * device.layer_seconds,
    )


def table(needs: Sequence[tuple[str, str, Need, Need, Need | None]]) -> str:
    """A Markdown table of (model, stage, need of 1 device, of 8, and of 8 with the model spread over them)."""
    lines = [
        "| model | stage | GiB a GPU | hours, 1 GPU | hours, 8 GPUs | sharded over 8: GiB a GPU | hours |",
        "|---|---|---|---|---|---|---|",
    ]
    for model, stage, alone, eight, spread in needs:
        last = f"{spread.gib:.0f} | {spread.hours:.2g}" if spread else "|"
        lines.append(f"| {model} | {stage} | {alone.gib:.0f} | {alone.hours:.2g} | {eight.hours:.2g} | {last} |")
    return "\n".join(lines)
