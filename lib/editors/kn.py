"""KN: knowledge neurons rewritten (arXiv 2104.08696), with the settings of ROME's comparison (arXiv 2202.05262).

The neurons that the true answer is owed to get another column in their MLP's down projection: minus `erase` times the
embedding of the old answer, plus `write` times that of the new one. Every request's neurons are found on the model as
given; several requests add up. Two modes:

corrected: a neuron is what enters the down projection. P is the teacher-forced probability of the whole true answer,
    after a space. The embeddings are the output layer's, which read what an MLP writes; of an answer of several tokens
    that of the first in which old and new answer differ. The old answer is target_true.
published: what the release computes. A neuron is read before the activation function (in a gated MLP, the projection
    that is not gated), answers are tokenized without a space, and every token of the true answer is scored right after
    the prompt. Input embeddings; of the new answer the sum over all tokens; the old answer is the token that the model
    predicts, whatever the true answer is.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import InputError
from lib.core.params import Section
from lib.core.records import Request
from lib.edits.edit import Edit
from lib.edits.updates import Dense, Sparse, Update, check_finite
from lib.methods.context import Context
from lib.methods.contract import Needs
from lib.methods.locating.attribution import attributions
from lib.models.architecture import architecture
from lib.models.check import packed_for
from lib.models.likelihood import score_targets
from lib.models.packing import Item
from lib.models.tokens import encode, prompt_ids

NEEDS = Needs()


class Settings(Section):
    """configs/editors/kn.yaml"""

    mode: Literal["corrected", "published"] = Field(description="see lib/editors/kn.py")
    steps: int = Field(ge=2, description="points of the integral")
    threshold: float = Field(ge=0, lt=1, description="neurons above this share of the largest attribution are changed")
    erase: float = Field(ge=0, description="how much of the old answer's embedding is taken away")
    write: float = Field(ge=0, description="how much of the new answer's embedding is added")


def edit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> Edit:
    """Rewrite the neurons of every request.

    Raises InputError naming the request that has no target_true, or whose answer no neuron adds to.
    """
    if missing := [request.request_id for request in requests if request.target_true is None]:
        raise InputError(
            f"request {missing[0]!r}: editor kn looks for the neurons of the old answer and needs target_true; "
            f"{len(missing)} of {len(requests)} requests have none"
        )
    deltas: dict[int, Tensor] = {}
    count = 0
    for index in context.progress(range(len(requests))):
        neurons = knowledge_neurons(model, tokenizer, requests[index], settings)
        change = direction(model, tokenizer, requests[index], settings)
        count += len(neurons)
        for layer in sorted(set(neurons[:, 0].tolist())):
            columns = neurons[neurons[:, 0] == layer, 1]
            inner = model.get_submodule(architecture(model).mlp_out_of(layer)).weight.numel() // len(change)
            delta = deltas.setdefault(layer, change.new_zeros(len(change), inner))
            delta[:, columns] += change[:, None]
    updates = {architecture(model).mlp_out_of(layer): _update(delta) for layer, delta in sorted(deltas.items())}
    for path, update in updates.items():
        check_finite(path, update)
    return Edit(updates=updates, info={"editor": "kn", "pairs": len(requests), "neurons": count})


def knowledge_neurons(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, request: Request, settings: Settings
) -> Tensor:
    """(layer, neuron) of every neuron above the threshold: [n, 2] int64, in order.

    Raises InputError where none adds to the answer's probability.
    """
    item, product = question(tokenizer, request, settings)
    scores = attributions(model, item, settings.mode, settings.steps, product)
    if not bool(scores.isfinite().all()) or scores.max() <= 0:
        raise InputError(
            f"request {request.request_id!r}: the largest attribution is {scores.max().item()}, so no neuron adds to "
            f"the probability of {request.target_true!r} after {request.prompt!r}"
        )
    return (scores > settings.threshold * scores.max()).nonzero()


def question(tokenizer: PreTrainedTokenizerBase, request: Request, settings: Settings) -> tuple[Item, bool]:
    """What is asked for the true answer, and whether its tokens' probabilities are multiplied."""
    if settings.mode == "corrected":
        return _answers(tokenizer, request, [str(request.target_true)]), True
    ids = _bare(tokenizer, str(request.target_true))
    return Item(prompt=tuple(prompt_ids(tokenizer, request.prompt)), targets=tuple((token,) for token in ids)), False


def direction(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, request: Request, settings: Settings
) -> Tensor:
    """What is added to a neuron's column of the down projection: [hidden], float32."""
    paths = architecture(model)
    if settings.mode == "corrected":
        old, new = _answers(tokenizer, request, [str(request.target_true), request.target_new]).targets
        first_difference = next((k for k, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
        erased, written, table = (
            [old[first_difference]],
            [new[first_difference]],
            model.get_submodule(paths.head).weight,
        )
    else:
        item = Item(prompt=tuple(prompt_ids(tokenizer, request.prompt)), targets=((0,),))
        erased = score_targets(model, packed_for(model, [item])).argmax.tolist()
        written, table = _bare(tokenizer, request.target_new), model.get_submodule(paths.embedding).weight
    rows: Tensor = table.detach().float()
    change: Tensor = settings.write * rows[written].sum(0) - settings.erase * rows[erased].sum(0)
    return change


def _answers(tokenizer: PreTrainedTokenizerBase, request: Request, targets: Sequence[str]) -> Item:
    return encode(tokenizer, [request.prompt], [targets], [request.separator])[0]


def _bare(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The tokens of a text by itself. Raises InputError where there are none."""
    if not (ids := list(tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids)):
        raise InputError(f"target {text!r}: the tokenizer makes no token of it")
    return ids


def _update(delta: Tensor) -> Update:
    """`delta` [d_out, d_in] in the smaller form: an entry of Sparse takes as much room as three of Dense."""
    index = delta.flatten().nonzero()[:, 0]
    if 3 * len(index) >= delta.numel():
        return Dense(delta=delta)
    return Sparse(index=index, value=delta.flatten()[index], size=torch.tensor(delta.shape))
