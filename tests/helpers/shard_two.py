"""Run by test_sharding under torchrun: a model of each family spread over the processes, trained and scored.

`python -m tests.helpers.shard_two FOLDER`: the first process writes FOLDER/<family>.json, each its share of the blocks.
"""

import json
import sys
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed.tensor import DTensor

from lib.core.params import Lora, Regularize
from lib.edits.adapter import new_adapter
from lib.edits.apply import Gate, applied, shape_of
from lib.edits.edit import Edit
from lib.edits.regularize import regularized
from lib.edits.updates import Dense, Vector
from lib.edits.weight_change import Measure
from lib.methods.training.example import Example
from lib.methods.training.loop import train
from lib.methods.training.objective import Objective, with_reference
from lib.models.sharding import sharded, whole
from lib.runtime.distributed import Distributed, process_group
from lib.scoring.scorer import Scorer
from tests.helpers.models import TARGETS, tiny_model
from tests.lib.methods.test_training import ITEMS, schedule
from tests.lib.scoring.test_scorer import plain, requests, scorer

FAMILIES = ("gpt2", "gptj", "neox", "llama", "mistral", "qwen3")


def found(model: Any, family: str, distributed: Distributed) -> dict[str, Any]:
    """What training and scoring find: as plain numbers, equal however the model is spread."""
    weights = {name: whole(parameter).clone() for name, parameter in model.named_parameters()}
    trained = adapter_edit(model, family, distributed)
    rect = regularized(trained, model, Regularize(method="rect", mode="corrected", keep=40, seed=0), Edit(updates={}))
    whole_change = Measure(model=model, thresholds=[0.1], rank_side=64).of(dense_edit(model, trained)).total
    sharded_scorer: Scorer = replace(scorer(distributed), model=model)
    one_request = replace(sharded_scorer, requests=requests(1))
    holding = holding_edit(model, family, distributed, dense_edit(model, trained))
    return {
        "adapter": as_lists(trained),
        "holding": as_lists(holding),
        "rect": [len(update.value) for update in rect.updates.values()],  # type: ignore[union-attr]
        "change": asdict(whole_change),
        "before": plain(sharded_scorer.before().tables),
        "adapted": plain(sharded_scorer.after(trained, session=1)),
        "edited": plain(one_request.after(dense_edit(model, trained), session=2)),
        "untouched": all(torch.equal(whole(parameter), weights[name]) for name, parameter in model.named_parameters()),
    }


def adapter_edit(model: Any, family: str, distributed: Distributed) -> Edit:
    """LoRA with every term of the loss, its batches too small for every process to have a share of each."""
    examples = [Example(item=item if number % 3 else rejecting(item)) for number, item in enumerate(ITEMS[:7])]
    texts = [Example(item=ITEMS[9], text=True)]
    adapter = new_adapter(model, Lora(r=4, alpha=8.0, targets=TARGETS[family]), seed=0)
    objective = Objective(dpo=0.3, beta=0.5, text=0.2)
    with adapter.attached(model):
        train(
            model, adapter.parameters(), with_reference(model, examples, 16),
            schedule(batch_size=3, micro_batch_tokens=8), distributed, lambda steps: steps, None, objective,
            lambda step: texts,
        )  # fmt: skip
    return Edit(updates=adapter.updates())


def holding_edit(model: Any, family: str, distributed: Distributed, earlier: Edit) -> Edit:
    """LoRA that holds, some of it to the model with an earlier edit: of a step's examples a process may have none."""
    learned = [Example(item=item, held_tokens=1) for item in ITEMS[:7]]
    beside = [
        Example(item=ITEMS[9], held_tokens=len(ITEMS[9].targets[0]), group="prompts"),
        Example(item=ITEMS[10], held_tokens=len(ITEMS[10].targets[0]), group="earlier"),
    ]
    adapter, gate = new_adapter(model, Lora(r=4, alpha=8.0, targets=TARGETS[family]), seed=0), Gate()
    objective = Objective(after=1.0, keep=1.0, earlier=gate)
    with applied(model, earlier, gate), adapter.attached(model):
        train(
            model, adapter.parameters(), learned, schedule(batch_size=3, micro_batch_tokens=8), distributed,
            lambda steps: steps, None, objective, lambda step: beside[: 1 + step % 2], adapter.gate,
        )  # fmt: skip
    return Edit(updates=adapter.updates())


def as_lists(edit: Edit) -> dict[str, Any]:
    """Its matrices, by path."""
    return {path: update.dense().tolist() for path, update in edit.updates.items()}  # type: ignore[union-attr]


def rejecting(item: Any) -> Any:
    """The item with a rejected target beside its own."""
    return replace(item, targets=(item.targets[0], (5, 6)))


def dense_edit(model: Any, low_rank: Edit) -> Edit:
    """One that is written into a whole weight: of the first matrix that `other` changes in a block."""
    path = next(name for name in low_rank.updates if ".0." in name)
    matrix = torch.randn(*shape_of(model.get_submodule(path)), generator=torch.Generator().manual_seed(3))
    return Edit(updates={path: Dense(delta=matrix / 9)})


def norm_edit(model: Any) -> Edit:
    """One of a norm's weight in a block."""
    path = next(name for name, parameter in model.named_parameters() if parameter.dim() == 1 and ".0." in name)
    return Edit(updates={path: Vector(shift=torch.ones(model.get_parameter(path).shape))})


def local_share(model: Any) -> float:
    """Of the values of spread weights, the part that this process holds."""
    spread = [parameter for parameter in model.parameters() if isinstance(parameter, DTensor)]
    return sum(parameter.to_local().numel() for parameter in spread) / sum(parameter.numel() for parameter in spread)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with process_group() as processes:
        for family in FAMILIES:
            model = sharded(partial(tiny_model, family), torch.device("cpu"), processes)
            (folder / f"{family}-share-{processes.rank}").write_text(str(local_share(model)))
            with pytest.raises(ValueError, match="a norm's weight that is spread over processes cannot be edited"):
                applied(model, norm_edit(model)).__enter__()
            outcome = found(model, family, processes)
            if processes.is_main:
                (folder / f"{family}.json").write_text(json.dumps(outcome))
