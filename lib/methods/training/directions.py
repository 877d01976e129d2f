"""Where an adapter's A stands: the directions in which the inputs at the edits' subjects differ from ordinary ones.

LoRA draws A at random, so that the inner activation A x is as long at any token as at a subject, and what B learns
for the subjects is added everywhere. Here A is taken from the data and stays fixed. With k the input of a module at the
last token of a subject, P the whitening basis (whitening.py), and V_r the first r right singular vectors of the rows
P k,

    A = V_r^T P / mean |P k|                                                                    [r, d_in]

so that A k is about 1 long at a subject, and far shorter at the tokens of ordinary text. The update B A is then in the
span of k^T C^-1, as MEMIT's is (arXiv 2210.07229, equation 14), but B is trained by gradient descent. EVA (arXiv
2410.07170) takes A from the right singular vectors of the inputs of the fine-tuning data in the same way; that A may
stay fixed is LoRA-FA's finding (arXiv 2308.03303).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.methods.locating.places import Place, states
from lib.methods.training.example import Example
from lib.methods.training.forms import Form, subject_span


def subject_places(
    tokenizer: PreTrainedTokenizerBase, trained: Sequence[Form], examples: Sequence[Example]
) -> list[Place]:
    """The subject's last token in every form (of a form that does not hold its subject, the prompt's last token).

    Args:
        examples: what the forms are trained as, in their order.
    """
    places = []
    for form, example in zip(trained, examples, strict=True):
        prompt = example.item.prompt
        span = subject_span(tokenizer, form.prompt, form.request.subject, len(prompt))
        places.append(Place(ids=prompt, position=(span[1] if span else len(prompt)) - 1))
    return places


def subject_directions(
    model: PreTrainedModel, places: Sequence[Place], basis: Mapping[str, Tensor], rank: int, micro_batch_tokens: int
) -> dict[str, Tensor]:
    """A [rank, d_in] float32 of every module that `basis` has, by its path; rows beyond the number of places are 0.

    Args:
        places: the tokens whose inputs A is to tell from others.
        basis: P [d_in, d_in] by path.
    """
    inputs = states(model, places, [(path, "input") for path in basis], micro_batch_tokens)
    return {path: _leading(inputs[path, "input"], matrix, rank) for path, matrix in basis.items()}


def _leading(keys: Tensor, basis: Tensor, rank: int) -> Tensor:
    """The first singular directions of keys [n, d_in] in `basis`: [rank, d_in]."""
    whitened = keys.double() @ basis.double().T
    _, _, directions = torch.linalg.svd(whitened, full_matrices=False)
    rows = directions[:rank] @ basis.double() / whitened.norm(dim=1).mean()
    return torch.cat([rows, rows.new_zeros(rank - len(rows), rows.shape[1])]).float()
