"""Scoring records against the published loop, and whether the GPU's values are the CPU's in float32."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bench.gpu.locating import SearchSettings
from bench.gpu.shapes import SHAPES, Machine, contexts, edits, lora_of, pairs, random_model, records, word_tokenizer
from bench.gpu.timing import repeated
from bench.score_speed import record_nll
from lib.edits.adapter import new_adapter
from lib.methods.locating.target_vectors import target_values
from lib.methods.training.example import Example
from lib.methods.training.loop import Schedule, train
from lib.models.architecture import architecture
from lib.models.likelihood import score_targets
from lib.models.packing import batches, pack
from lib.runtime.distributed import Distributed

_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 5e-2}
"""Largest difference from the CPU's float32 values, relative to their largest."""


def scoring(machine: Machine) -> dict[str, Any]:
    """Records a second of GPT-J's shape, 13 prompts with 2 targets each: ours, and 26 padded sequences a record."""
    model = random_model("gpt-j-6b", machine)
    own_records = records(2 if machine.tiny else 128)
    engine = repeated(lambda: _scored(model, own_records), machine)
    subset = own_records[: 1 if machine.tiny else 8]
    with torch.no_grad():
        loop = repeated(lambda: [record_nll(model, record) for record in subset], machine)
        values = [value for record in subset for value in record_nll(model, record)]
    apart = float((torch.tensor(values) - _scored(model, subset).float()).abs().max())
    rates = len(own_records) / engine["seconds"], len(subset) / loop["seconds"]
    return {
        "engine": engine | {"records_a_second": rates[0]}, "published": loop | {"records_a_second": rates[1]},
        "ratio": rates[0] / rates[1], "largest_difference": apart,
    }  # fmt: skip


def _scored(model: Any, own_records: Any) -> Tensor:
    """-log p of every target, in order, on the CPU."""
    items = [item for record in own_records for item in record]
    order = sorted(range(len(items)), key=lambda index: -items[index].length)
    nll: dict[int, Tensor] = {}
    for batch in batches(items, 16_384, order):
        packed = pack([items[index] for index in batch]).to(model.device)
        nll_of_batch = score_targets(model, packed).nll.cpu()
        values = iter(torch.split(nll_of_batch, [len(items[index].targets) for index in batch]))
        nll |= {index: next(values) for index in batch}
    return torch.cat([nll[index] for index in range(len(items))])


def equality(machine: Machine) -> dict[str, Any]:
    """Of GPT-2 XL's shape with two blocks: likelihoods, a LoRA's losses, a value search, against the CPU's float32."""
    cpu = Machine(device=torch.device("cpu"), tiny=machine.tiny, seconds=machine.seconds)
    reference = random_model("gpt2-xl", cpu, layers=2)
    model = random_model("gpt2-xl", cpu, layers=2).to(machine.device, machine.dtype)
    tolerance = _TOLERANCE[machine.dtype]
    result: dict[str, Any] = {"tolerance": tolerance, "dtype": str(machine.dtype)}
    values: dict[str, Callable[[Any], Tensor]] = {"scores": _scores, "losses": _losses, "search": _search}
    for name, of in values.items():
        expected, computed = of(reference), of(model)
        result[name] = float((computed - expected).abs().max() / expected.abs().max())
    result["equal"] = all(result[name] <= tolerance for name in values)
    return result


def _scores(model: Any) -> Tensor:
    return _scored(model, records(2))


def _losses(model: Any) -> Tensor:
    examples = [Example(item=item) for item in pairs(16)]
    schedule = Schedule(
        epochs=2, lr=1e-3, batch_size=8, micro_batch_tokens=4096, weight_decay=0.0, max_grad_norm=1.0, seed=0
    )
    adapter = new_adapter(model, lora_of(SHAPES["gpt2-xl"]), seed=0)
    with adapter.attached(model):
        steps = train(model, adapter.parameters(), examples, schedule, Distributed(), lambda all_steps: all_steps)
    return torch.tensor([step.loss for step in steps])


def _search(model: Any) -> Tensor:
    how: Any = SearchSettings(steps=4, lr=0.1, weight_decay=0.5, kl=0.0625, clamp=4.0, stop=0.0, tokens=8192)
    path = architecture(model).mlp_of(0)
    values = target_values(model, word_tokenizer(), edits(3), path, "subject_last", contexts([5, 10]), how)
    return torch.tensor(values.loss)
