"""Training the same LoRA on the same pairs: `edit`'s engine, and what a user would write with transformers and PEFT.

The other sides are transformers.Trainer on a PEFT model (batches padded to their longest pair, loss over full logits)
and a careful loop by hand (padded too, logits of target tokens alone). All start from the same adapter, take the same
pairs in the same order, and must report the same loss at every step.

    python -m bench.edit_speed --steps 8
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from transformers import PreTrainedModel

from bench.handwritten_side import run_handwritten
from bench.shapes import SHAPES, add_shape, shaped, training_pairs
from bench.side_by_side import Benchmark, Measurement, compare, timed
from bench.trainer_side import run_trainer
from lib.core.params import Lora
from lib.edits.adapter import new_adapter, save_adapter
from lib.methods.training.example import Example
from lib.methods.training.loop import Schedule, train
from lib.models.packing import Item
from lib.runtime.distributed import Distributed


def errata(options: argparse.Namespace) -> Measurement:
    """lib.methods.training.loop, packed rows, logits where a target token is predicted."""
    model, pairs, schedule = shaped(options), _pairs(options), _schedule(options)
    adapter = new_adapter(model, _lora(options), seed=0)

    def work() -> list[float]:
        examples = [Example(item=pair) for pair in pairs]
        with adapter.attached(model):
            steps = train(model, adapter.parameters(), examples, schedule, Distributed(), lambda steps: steps)
        return [step.loss for step in steps]

    return timed(work, len(pairs))


def trainer(options: argparse.Namespace) -> Measurement:
    """transformers.Trainer and PEFT, padded batches, full logits."""
    return _with_peft(options, lambda *work: run_trainer(*work)[0])


def handwritten(options: argparse.Namespace) -> Measurement:
    """PEFT and a loop by hand, padded batches, logits where a target token is predicted."""
    return _with_peft(options, run_handwritten)


def _with_peft(
    options: argparse.Namespace, run: Callable[[PreTrainedModel, Path, list[Item], Schedule], list[float]]
) -> Measurement:
    model, pairs, schedule = shaped(options), _pairs(options), _schedule(options)
    with tempfile.TemporaryDirectory() as folder:
        adapter = new_adapter(model, _lora(options), seed=0)
        save_adapter(Path(folder), adapter.updates(), model, _lora(options), "random")
        ordered = [pairs[index] for step in range(options.steps) for index in schedule.batch(step, len(pairs))]
        return timed(lambda: run(model, Path(folder), ordered, schedule), len(pairs))


def _lora(options: argparse.Namespace) -> Lora:
    return Lora(r=32, alpha=64, targets=list(SHAPES[options.shape].targets))


def _pairs(options: argparse.Namespace) -> list[Item]:
    return training_pairs(options.steps * options.batch_size)


def _schedule(options: argparse.Namespace) -> Schedule:
    return Schedule(
        epochs=1,
        lr=7e-5,
        batch_size=options.batch_size,
        micro_batch_tokens=4096,
        weight_decay=0.0,
        max_grad_norm=1.0,
        seed=0,
    )


def main() -> None:
    """Parse options and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=32)
    add_shape(parser)
    title = "LoRA (r 32) on all linear modules, random weights of {shape}, float32"
    sides = {"errata": errata, "trainer": trainer, "handwritten": handwritten}
    compare(Benchmark(title=title, unit="pair", tolerance=1e-4, sides=sides), parser)


if __name__ == "__main__":
    main()
