"""Training the same LoRA on the same pairs: `edit`'s engine, and what a user would write with transformers and PEFT.

The other side is transformers.Trainer on a PEFT model: batches padded to their longest pair, loss over full logits.
Both start from the same adapter, take the same pairs in the same order, and must report the same loss at every step.

    python -m bench.edit_speed --steps 8
"""

import argparse
import tempfile
from pathlib import Path

import torch
from peft import PeftModel
from torch import Tensor
from transformers import Trainer, TrainerCallback, TrainingArguments

from bench.shapes import gpt2_small, training_pairs
from bench.side_by_side import Benchmark, Measurement, compare, timed
from lib.core.params import Lora
from lib.edits.adapter import new_adapter, save_adapter
from lib.methods.training.example import Example
from lib.methods.training.loop import Schedule, train
from lib.models.packing import Item
from lib.runtime.distributed import Distributed

LORA = Lora(r=32, alpha=64, targets=["c_attn", "c_proj", "c_fc"])


def errata(options: argparse.Namespace) -> Measurement:
    """lib.methods.training.loop, packed rows, logits where a target token is predicted."""
    model, pairs, schedule = gpt2_small(options.layers), _pairs(options), _schedule(options)
    adapter = new_adapter(model, LORA, seed=0)

    def work() -> list[float]:
        examples = [Example(item=pair) for pair in pairs]
        with adapter.attached(model):
            steps = train(model, adapter.parameters(), examples, schedule, Distributed(), lambda steps: steps)
        return [step.loss for step in steps]

    return timed(work, len(pairs))


def trainer(options: argparse.Namespace) -> Measurement:
    """transformers.Trainer and PEFT, padded batches, full logits."""
    model, pairs, schedule = gpt2_small(options.layers), _pairs(options), _schedule(options)
    with tempfile.TemporaryDirectory() as folder:
        adapter = new_adapter(model, LORA, seed=0)
        save_adapter(Path(folder), adapter.updates(), model, LORA, "random")
        tuned = PeftModel.from_pretrained(model, folder, is_trainable=True)
        arguments = TrainingArguments(
            output_dir=folder, num_train_epochs=1, per_device_train_batch_size=options.batch_size,
            learning_rate=schedule.lr, lr_scheduler_type="cosine", weight_decay=schedule.weight_decay,
            max_grad_norm=schedule.max_grad_norm, logging_steps=1, save_strategy="no", report_to=[], disable_tqdm=True,
            use_cpu=not torch.cuda.is_available(), remove_unused_columns=False, dataloader_pin_memory=False,
        )  # fmt: skip
        ordered = [pairs[index] for step in range(options.steps) for index in schedule.batch(step, len(pairs))]
        losses = _Losses()
        user = _InOrder(model=tuned, args=arguments, train_dataset=ordered, data_collator=_padded, callbacks=[losses])

        def work() -> list[float]:
            user.train()
            return losses.of_steps

        return timed(work, len(pairs))


class _InOrder(Trainer):  # type: ignore[misc]  # transformers is not typed here
    def _get_train_sampler(self, *_: object) -> torch.utils.data.Sampler[int]:
        return torch.utils.data.SequentialSampler(self.train_dataset)


class _Losses(TrainerCallback):  # type: ignore[misc]
    def __init__(self) -> None:
        self.of_steps: list[float] = []

    def on_log(self, args: object, state: object, control: object, logs: dict[str, float], **_: object) -> None:
        """Keep the loss of every step."""
        self.of_steps += [float(logs["loss"])] if "loss" in logs else []


def _padded(pairs: list[Item]) -> dict[str, Tensor]:
    """input_ids, attention_mask, labels [b, t], padded to the longest pair; no loss on prompt and padding."""
    sequences = [(*pair.prompt, *pair.targets[0]) for pair in pairs]
    t = max(map(len, sequences))
    ids = torch.tensor([[*tokens, *[0] * (t - len(tokens))] for tokens in sequences])
    labels = torch.full_like(ids, -100)
    for row, pair in enumerate(pairs):
        labels[row, len(pair.prompt) : len(sequences[row])] = torch.tensor(pair.targets[0])
    mask = torch.tensor([[1] * len(tokens) + [0] * (t - len(tokens)) for tokens in sequences])
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


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
    parser.add_argument("--layers", type=int, default=12)
    title = "LoRA (r 32) on GPT-2-small-sized random weights, float32"
    sides = {"errata": errata, "trainer": trainer}
    compare(Benchmark(title=title, unit="pair", tolerance=1e-4, sides=sides), parser)


if __name__ == "__main__":
    main()
