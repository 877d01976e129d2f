"""What a careful user would write without a framework: PEFT's adapter, AdamW, and a loop that wastes little.

Batches are padded to their longest pair, and only the positions that predict a target token go through the output
matrix. The pairs of a batch are those of the other sides, so short and long ones stand together.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from peft import PeftModel
from torch import nn
from torch.optim import AdamW
from transformers import PreTrainedModel, get_cosine_schedule_with_warmup

from bench.trainer_side import padded
from lib.methods.training.loop import Schedule
from lib.models.packing import Item


def run_handwritten(model: PreTrainedModel, folder: Path, ordered: Sequence[Item], schedule: Schedule) -> list[float]:
    """Train the adapter in `folder` on the pairs in this order: the loss of every step."""
    tuned = PeftModel.from_pretrained(model, folder, is_trainable=True)
    trained = [parameter for parameter in tuned.parameters() if parameter.requires_grad]
    optimizer = AdamW(trained, lr=schedule.lr, weight_decay=schedule.weight_decay)
    starts = range(0, len(ordered), schedule.batch_size)
    decay = get_cosine_schedule_with_warmup(optimizer, 0, len(starts))
    losses = []
    for start in starts:
        loss = _loss(model, padded(list(ordered[start : start + schedule.batch_size])))
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trained, schedule.max_grad_norm)
        optimizer.step()
        decay.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    tuned.unload()
    return losses


def _loss(model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Mean cross-entropy of the target tokens; logits [target tokens of the batch, v]."""
    batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
    hidden = model.base_model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])[0]
    following = batch["labels"][:, 1:]
    predicts = following != -100
    head = model.get_output_embeddings()
    assert head is not None, "a model without an output matrix predicts no token"
    return nn.functional.cross_entropy(head(hidden[:, :-1][predicts]), following[predicts])
