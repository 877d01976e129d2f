"""Knowledge attribution: integrated gradients of an answer's probability with respect to MLP neurons.

"Knowledge Neurons in Pretrained Transformers" (arXiv 2104.08696, section 3.1), at the last prompt token.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lib.models.architecture import architecture
from lib.models.check import packed_for
from lib.models.likelihood import token_nll
from lib.models.packing import Item, side_by_side

Place = Literal["corrected", "published"]
"""Where a neuron is read. corrected: what enters the MLP's down projection; published: what leaves the up projection,
before the activation function. In a gated MLP both give the same attributions: one factor scales the product."""


def attributions(model: PreTrainedModel, item: Item, mode: Place, steps: int, product: bool) -> Tensor:
    """How much each neuron adds to the probability of the item's targets: [layers, inner], float32.

    A neuron's activation a at the last prompt token is scaled by `steps` numbers from 0 to 1, a layer at a time:
    a / steps * sum of dP/da over them. With `product`, P is that of all target tokens together, relative to its largest
    value on the way, so that long targets do not vanish; otherwise it is the mean of the tokens' own probabilities.
    """
    paths = architecture(model)
    of = paths.mlp_out_of if mode == "corrected" else paths.mlp_in_of
    modules = {layer: model.get_submodule(of(layer)) for layer in range(paths.layers(model))}
    column = len(item.prompt) - 1
    packed = side_by_side([packed_for(model, [item])] * steps)
    rows_a_step = len(packed.item) // steps  # more than one where the model needs isolated rows
    scales = torch.linspace(0, 1, steps, device=model.device)[:, None]
    rows = []
    for layer, activation in _activations(model, item, modules, mode, column).items():
        scaled = (scales * activation.float()).requires_grad_()  # [steps, inner]
        with torch.enable_grad(), _replaced(modules[layer], mode, column, scaled.repeat_interleave(rows_a_step, dim=0)):
            log_p = -token_nll(model, packed).view(steps, -1)
            if product:
                total = log_p.sum(1)
                p = (total - total.detach().max()).exp()
            else:
                p = log_p.exp().mean(1)
            (gradient,) = torch.autograd.grad(p.sum(), scaled)
        rows.append(gradient.sum(0) * activation.float() / steps)
    return torch.stack(rows)


def _activations(
    model: PreTrainedModel, item: Item, modules: Mapping[int, nn.Module], mode: Place, column: int
) -> dict[int, Tensor]:
    """The neurons' values at the last prompt token: [inner] by layer."""
    seen: dict[int, Tensor] = {}

    def reader(layer: int) -> Callable[[Tensor], Tensor]:
        def read(values: Tensor) -> Tensor:
            seen[layer] = values[0, column].detach().clone()
            return values

        return read

    with ExitStack() as stack, torch.no_grad():
        for layer, module in modules.items():
            stack.enter_context(_seen_by(module, mode, reader(layer)))
        token_nll(model, packed_for(model, [item]))
    return seen


def _replaced(module: nn.Module, mode: Place, column: int, values: Tensor) -> AbstractContextManager[None]:
    """Within it, the neurons at `column` of row i are values[i]."""

    def replace(neurons: Tensor) -> Tensor:
        return torch.cat([neurons[:, :column], values[:, None].to(neurons.dtype), neurons[:, column + 1 :]], dim=1)

    return _seen_by(module, mode, replace)


@contextmanager
def _seen_by(module: nn.Module, mode: Place, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Within it, `change` gets the neurons [b, t, inner] of every forward pass, and gives what to go on with."""
    if mode == "corrected":
        handle = module.register_forward_pre_hook(lambda module, inputs: (change(inputs[0]), *inputs[1:]))
    else:
        handle = module.register_forward_hook(lambda module, inputs, output: change(output))
    try:
        yield
    finally:
        handle.remove()
