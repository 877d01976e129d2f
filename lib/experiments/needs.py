"""What each stage of one row of a table needs: GPU memory and hours, from the model's shape and the row's settings.

What an editor does is told by the keys of its preset: `optimisation` for those that locate and then edit, `module` for
fine-tuning, `edit_weight` for networks that turn gradients into updates, `erase` for knowledge neurons, `copies` for
demonstrations before the prompt, `radius` for a memory's values, `gate` for a closed form of gradients, `text_tokens`
for LoRA. Lengths are assumed (docs/sizing.md).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any

from lib.core import params
from lib.core.params import Model
from lib.core.root import Params
from lib.experiments import sizing
from lib.experiments.sizing import Device, Need, Shape, Work

RECORDS = {"counterfact": 21_919, "multi_counterfact": 20_877, "zsre": 19_086, "wikirecent": 1_266}
"""Edits of a published dataset where facts.limit is null."""
_PROMPTS = {"zsre": 3}
"""Evaluation prompts an edit; of other datasets one of its own, two paraphrases and ten of locality."""
_ALL_PROMPTS = 13
_PASSAGES = 10
"""Generation prompts an edit, where texts are sampled."""
_PAIR_TOKENS, _TARGET_TOKENS = 15, 2
_CONTEXT_TOKENS = 8
"""Mean length of a sampled context before a prompt."""
_MEMIT_CONTEXTS = 5
_SAMPLE_TOKENS = 400
"""Of a text that second moments are taken over, about."""
_DEMONSTRATION_TOKENS = 25
_FLOAT64 = 8
_TASKS = {
    "reasoning": (1_319, 150, 517), "nli": (277, 90, 1), "open_qa": (3_610, 250, 20), "closed_qa": (3_270, 180, 1),
    "dialogue": (886, 200, 1), "summarization": (819, 170, 25), "ner": (13_812, 60, 10), "sentiment": (872, 60, 1),
}  # fmt: skip
"""Of the paper's eight tasks: examples, tokens of a prompt (assumed), tokens generated at most."""
_TASK_ROWS = 16


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row: its params with every `auto` resolved, its model, and its editor's settings for that model."""

    root: Params
    model: Model
    editor: Mapping[str, Any]
    shape: Shape
    has_abilities: bool

    @property
    def edits(self) -> int:
        """How many edits are made. Raises ValueError where the dataset's own number is not known."""
        limit = self.root.facts.edits
        if limit is None and self.root.dataset not in RECORDS:
            raise ValueError(f"facts.limit: wanted a number for {self.root.dataset}, whose size depends on its files")
        return RECORDS[self.root.dataset] if limit is None else limit

    @property
    def sessions(self) -> int:
        """How many times the editor is run."""
        protocol = self.root.protocol
        if protocol.kind == "mass":
            return 1
        return self.edits if protocol.kind == "single" else math.ceil(self.edits / protocol.batch_size)

    def value(self, *names: str, default: float) -> Any:
        """A value of the editor's settings; `default` where the editor decides it itself."""
        setting: Any = self.editor
        for name in names:
            setting = setting[name]
        return default if setting in ("auto", None) else setting


def work(row: Row) -> Work:
    """How much there is to do."""
    root = row.root
    train = params.with_recipe(root.train, row.model.train)
    paraphrases = 0 if root.para.method == "none" else root.para.n
    neighbors = root.neighbors.n if root.neighbors.are_requested else 0
    prompts = _PROMPTS.get(root.dataset, _ALL_PROMPTS)
    greedy, passages = root.score.greedy, root.score.generations
    greedy_share = 1.0 if greedy.limit is None else min(1.0, greedy.limit / row.edits)
    passage_share = 1.0 if passages.limit is None else min(1.0, passages.limit / row.edits)
    return Work(
        edits=row.edits,
        pairs=row.edits * (1 + paraphrases + neighbors),
        pair_tokens=_PAIR_TOKENS,
        target_tokens=_TARGET_TOKENS,
        epochs=int(train.epochs),
        batch_size=int(train.batch_size),
        micro_batch_tokens=train.micro_batch_tokens,
        prompts=prompts,
        targets=1 if root.dataset == "zsre" else 2,
        greedy_tokens=round(3 * (_PAIR_TOKENS - 2 + greedy.tokens) * greedy_share),
        passage_tokens=round(_PASSAGES * passages.tokens * passage_share),
        text_rows=root.score.rows,
        paraphrase_tokens=root.para.samples * root.para.max_tokens + round(paraphrases * mean(root.para.prefix_tokens)),
        paraphrase_batch=256,
        paraphrase_context=250,
    )


def needs(row: Row, device: Device) -> dict[str, Need]:
    """By stage what it needs on one `device`."""
    todo = work(row)
    stages = {"paraphrase": sizing.paraphrase_need(row.shape, todo, device)} if row.root.para.method != "none" else {}
    stages |= dict(_editing(row, todo, device))
    scored = todo
    if "copies" in row.editor:
        demonstrations = sum(row.value(name, default=0) for name in ("copies", "updates", "retains")) + 1
        scored = replace(todo, pair_tokens=todo.pair_tokens + demonstrations * _DEMONSTRATION_TOKENS)
    stages["score"] = sizing.score_need(row.shape, scored, device)
    if todo.greedy_tokens + todo.passage_tokens:
        stages["texts"] = sizing.text_need(row.shape, todo, device)
    if row.has_abilities:
        stages["abilities"] = _abilities(row, device)
    return stages


def _editing(row: Row, todo: Work, device: Device) -> Iterator[tuple[str, Need]]:
    if "optimisation" in row.editor:
        if row.editor.get("moments", True):
            yield "statistics", _statistics(row, device)
        yield "edit", _located(row, todo, device)
    elif "module" in row.editor:
        yield "edit", _fine_tuning(row, todo, device)
    elif "edit_weight" in row.editor:
        tokens = row.value("batch_size", default=10) * (3 + row.value("locality", default=2)) * todo.pair_tokens
        yield "hypernet", _passes(row, device, int(row.value("steps", default=100_000)), tokens)
        yield "edit", _passes(row, device, row.edits, todo.pair_tokens)
    elif "backtracking" in row.editor:
        yield "hypernet", _streams(row, device, todo)
        yield "edit", _passes(row, device, row.sessions, row.edits / row.sessions * todo.pair_tokens)
    elif "erase" in row.editor:
        yield "edit", _passes(row, device, row.edits * row.shape.layers, row.editor["steps"] * todo.pair_tokens)
    elif "radius" in row.editor:
        steps = row.sessions * int(row.value("steps", default=100))
        yield "edit", _passes(row, device, steps, row.edits / row.sessions * todo.pair_tokens)
    elif "gate" in row.editor:
        yield "edit", _passes(row, device, row.sessions, row.edits / row.sessions * todo.pair_tokens)
    elif "text_tokens" in row.editor:
        each = replace(todo, pairs=todo.pairs // row.edits) if row.root.protocol.kind == "single" else todo
        need = sizing.edit_need(row.shape, each, device)
        repeated = row.edits if row.root.protocol.kind == "single" else 1
        yield "edit", Need(gib=need.gib, hours=need.hours * repeated)


def _passes(row: Row, device: Device, count: int, tokens: float, trained: int = 0) -> Need:
    """`count` passes forward and backward over so many tokens, `trained` values of the model being trained."""
    shape, (held, gathered) = row.shape, sizing.held_weights(row.shape, 1, sharded=False)
    operations = (4 if not trained else 6) * shape.matrix_weights * tokens
    seconds = sizing.pass_seconds(shape, device, operations, 2, gathered) + 2 * sizing.TRAINED_BYTES * trained / (
        device.memory
    )
    memory = held + tokens * shape.saved + trained * sizing.TRAINED_BYTES
    return Need(gib=memory / 2**30 + sizing.RUNTIME_GIB, hours=count * seconds / sizing.HOUR)


def _streams(row: Row, device: Device, todo: Work) -> Need:
    """Every turn of every stream: its edits, and with those of the turns before them their losses on top of it."""
    turns = int(row.value("turns", default=400))
    counted = sum(min(turn, row.editor["backtracking"]) for turn in range(1, turns + 1)) / turns
    each = 1 + counted * (1 + 2 * row.editor["locality"])
    tokens = row.editor["batch_size"] * each * todo.pair_tokens
    return _passes(row, device, int(row.value("streams", default=1)) * turns, tokens)


def _located(row: Row, todo: Work, device: Device) -> Need:
    """v* of every edit: `steps` passes over its prompts after all contexts, the edits of a session together."""
    contexts = row.value("context_tokens", default=10)
    templates = 1 + (len(contexts) if isinstance(contexts, list) else _MEMIT_CONTEXTS)
    tokens = row.edits / row.sessions * templates * (todo.pair_tokens + _CONTEXT_TOKENS)
    parts = max(1, math.ceil(tokens / row.editor["optimisation"]["tokens"]))
    steps = int(row.value("optimisation", "steps", default=25))
    need = _passes(row, device, row.sessions * parts * steps, tokens / parts)
    moment = 2 * _FLOAT64 * row.shape.inner**2
    return Need(gib=need.gib + moment / 2**30, hours=need.hours)


def _statistics(row: Row, device: Device) -> Need:
    """Forward passes over plain text, and the second moment of each layer's keys."""
    layers = row.editor.get("layers", [0])
    count = len(layers) if isinstance(layers, list) else max(1, row.shape.layers // 5)
    settings = row.root.statistics
    tokens = settings.n_samples * _SAMPLE_TOKENS
    passes = math.ceil(tokens / settings.micro_batch_tokens)
    operations = (2 * row.shape.matrix_weights + 2 * count * row.shape.inner**2) * tokens / passes
    held, gathered = sizing.held_weights(row.shape, 1, sharded=False)
    seconds = passes * sizing.pass_seconds(row.shape, device, operations, 1, gathered)
    memory = held + settings.micro_batch_tokens * 6 * row.shape.inner * sizing.BYTES
    memory += count * _FLOAT64 * row.shape.inner**2
    return Need(gib=memory / 2**30 + sizing.RUNTIME_GIB, hours=seconds / sizing.HOUR)


def _fine_tuning(row: Row, todo: Work, device: Device) -> Need:
    """Passes over batches of the requests, at most `epochs` times."""
    trained = {
        "mlp_out": row.shape.inner * row.shape.hidden,
        "block": row.shape.block_weights // row.shape.layers,
        "all": row.shape.weights,
    }[row.editor["module"]]
    pairs = todo.pairs if row.editor["module"] == "all" else row.edits
    batch = min(int(row.value("batch_size", default=64)), max(1, pairs // row.sessions))
    steps = row.sessions * row.editor["epochs"] * math.ceil(pairs / row.sessions / batch)
    return _passes(row, device, steps, batch * todo.pair_tokens, trained)


def _abilities(row: Row, device: Device) -> Need:
    """The paper's tasks before the edit, at every checkpoint and after it; tasks of the pool are not counted."""
    settings, protocol = row.root.abilities, row.root.protocol
    names = [*_TASKS] if "eight" in settings.tasks else [name for name in settings.tasks if name in _TASKS]
    sessions = 2 + (len(protocol.checkpoints) if protocol.kind == "sequential" and settings.checkpoints else 0)
    held, gathered = sizing.held_weights(row.shape, 1, sharded=False)
    seconds = 0.0
    for examples, prompt, new in (_TASKS[name] for name in names):
        count = examples if settings.limit is None else min(examples, settings.limit)
        operations = 2 * row.shape.matrix_weights * _TASK_ROWS * prompt
        batches = math.ceil(count / _TASK_ROWS)
        seconds += batches * sizing.pass_seconds(row.shape, device, operations, 1, gathered)
        seconds += batches * new * sizing.pass_seconds(row.shape, device, 2 * row.shape.weights * _TASK_ROWS, 1, 0.0)
    memory = held + settings.micro_batch_tokens * 6 * row.shape.inner * sizing.BYTES
    return Need(gib=memory / 2**30 + sizing.RUNTIME_GIB, hours=sessions * seconds / sizing.HOUR)
