"""What a user would write to train a LoRA: transformers.Trainer on a PEFT model, padded batches, full logits."""

import time
from pathlib import Path

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainingArguments

from lib.methods.training.loop import Schedule
from lib.models.packing import Item


def run_trainer(
    model: PreTrainedModel, folder: Path, ordered: list[Item], schedule: Schedule
) -> tuple[list[float], list[float]]:
    """Train the adapter in `folder` on the pairs in this order: the loss, and the seconds, of every step."""
    tuned = PeftModel.from_pretrained(model, folder, is_trainable=True)
    arguments = TrainingArguments(
        output_dir=str(folder), num_train_epochs=1, per_device_train_batch_size=schedule.batch_size,
        learning_rate=schedule.lr, lr_scheduler_type="cosine", weight_decay=schedule.weight_decay,
        max_grad_norm=schedule.max_grad_norm, logging_steps=1, save_strategy="no", report_to=[], disable_tqdm=True,
        use_cpu=model.device.type == "cpu", remove_unused_columns=False, dataloader_pin_memory=False,
    )  # fmt: skip
    record = _Record(model.device)
    trainer = _InOrder(model=tuned, args=arguments, train_dataset=ordered, data_collator=padded, callbacks=[record])
    trainer.train()
    tuned.unload()
    return record.losses, record.seconds


class _InOrder(Trainer):  # type: ignore[misc]  # transformers is not typed here
    def _get_train_sampler(self, *_: object) -> torch.utils.data.Sampler[int]:
        return torch.utils.data.SequentialSampler(self.train_dataset)


class _Record(TrainerCallback):  # type: ignore[misc]
    def __init__(self, device: torch.device) -> None:
        self.losses: list[float] = []
        self.seconds: list[float] = []
        self._device, self._began = device, 0.0

    def on_log(self, args: object, state: object, control: object, logs: dict[str, float], **_: object) -> None:
        """Keep the loss of every step."""
        self.losses += [float(logs["loss"])] if "loss" in logs else []

    def on_step_begin(self, *_: object, **__: object) -> None:
        """Start the clock of a step."""
        self._began = self._now()

    def on_step_end(self, *_: object, **__: object) -> None:
        """Stop it."""
        self.seconds.append(self._now() - self._began)

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


def padded(pairs: list[Item]) -> dict[str, Tensor]:
    """input_ids, attention_mask, labels [b, t], padded to the longest pair; no loss on prompt and padding."""
    sequences = [(*pair.prompt, *pair.targets[0]) for pair in pairs]
    t = max(map(len, sequences))
    ids = torch.tensor([[*tokens, *[0] * (t - len(tokens))] for tokens in sequences])
    labels = torch.full_like(ids, -100)
    for row, pair in enumerate(pairs):
        labels[row, len(pair.prompt) : len(sequences[row])] = torch.tensor(pair.targets[0])
    mask = torch.tensor([[1] * len(tokens) + [0] * (t - len(tokens)) for tokens in sequences])
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}
