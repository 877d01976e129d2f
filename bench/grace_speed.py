"""GRACE's values of several requests of a real model: shared passes from its own block on, and the release's loop.

Both begin at what the module says (`start: warm`), and must find values of the same lengths.

    python -m bench.grace_speed --edits 20
"""

import argparse
from typing import Any

import torch
from torch import Tensor, nn

from bench.rome_speed import edits_parser, loaded, requests
from bench.side_by_side import Benchmark, Measurement, compare, timed
from lib.core.params import Lora, Train, section
from lib.editors import grace
from lib.methods.context import Context
from lib.models.hooks import hooked
from lib.models.packing import Item
from lib.models.tokens import encode_edits
from lib.runtime.distributed import Distributed

_SETTINGS = grace.Settings(
    projection="up", layer="auto", depth=0.87, radius=0.4, scale="relative", steps=40, lr=1.0, start="warm"
)
"""As configs/editors/grace.yaml has them for SmolLM2: its layer 26 of 30."""


def errata(options: argparse.Namespace) -> Measurement:
    """lib.editors.grace: all requests share passes, which begin at the memory's block."""
    model, tokenizer = loaded(options.model)
    edits, context = requests(options.edits), _context()

    def work() -> list[float]:
        alone = grace.edit_each(model, tokenizer, edits, _SETTINGS, context)
        return [float(memory.values.norm()) for edit in alone for memory in edit.memories.values()]

    return timed(work, len(edits))


def published(options: argparse.Namespace) -> Measurement:
    """A request at a time, whole passes, logits of every position."""
    model, tokenizer = loaded(options.model)
    items = encode_edits(tokenizer, requests(options.edits))
    module = model.get_submodule(grace.module_path(model, _SETTINGS))
    return timed(lambda: [float(_searched(model, module, item).norm()) for item in items], len(items))


def _searched(model: Any, module: nn.Module, item: Item) -> Tensor:
    """The value [d_out] that Adam finds for one request."""
    (target,), end = item.targets, len(item.prompt) - 1
    ids, labels = torch.tensor([[*item.prompt, *target[:-1]]]), torch.tensor(target)
    outputs: list[Tensor] = []
    with torch.no_grad(), hooked(module, lambda _, inputs, output: outputs.append(output[0, end])):
        model(ids)
    value = outputs[0].clone().requires_grad_()
    optimizer = torch.optim.Adam([value], lr=_SETTINGS.lr)

    def put(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output.index_put((torch.tensor([0]), torch.tensor([end])), value)

    with hooked(module, put):
        for _ in range(_SETTINGS.steps):
            loss = nn.functional.cross_entropy(model(ids).logits[0, end:], labels)
            (value.grad,) = torch.autograd.grad(loss, [value])
            optimizer.step()
    return value.detach()


def _context() -> Context:
    """What the editor takes of a run: one process, nothing told, nothing stored."""
    return Context(
        paraphrases=(), neighbors=(), lora=Lora(r=1, alpha=1.0, targets=["none"]), train=section("train", Train),
        distributed=Distributed(), progress=lambda steps: steps, checkpoints=None, record=lambda steps: None,
    )  # fmt: skip


def main() -> None:
    """Parse options and compare."""
    sides = {"errata": errata, "published": published}
    compare(
        Benchmark(title="GRACE's values, float32", unit="request", tolerance=5e-2, sides=sides),
        edits_parser(__doc__, 20),
    )


if __name__ == "__main__":
    main()
