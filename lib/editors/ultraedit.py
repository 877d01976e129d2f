"""UltraEdit: an update in closed form from hidden states and their gradients ("UltraEdit", arXiv 2505.14679).

With x^ and delta^ what enters a matrix and the gradient at its output, normalised over all tokens of all turns so far
(lib/methods/hypernets/turns.py), the update D is to add v = -rate * |x^|^2 * delta^ to the output wherever x comes in,
least squares with a ridge of 1:

    D = V^T X (X^T X + 1)^-1 = V^T (X X^T + 1)^-1 X

X [n, d_in] has the tokens' x as rows, V [n, d_out] their v. Nothing is trained, no subject is needed, and nothing is
kept but the two moments of each shape.
"""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.records import Request
from lib.edits.edit import Edit
from lib.edits.updates import Dense, LowRank
from lib.methods.context import Context
from lib.methods.contract import Needs
from lib.methods.hypernets.turns import (
    Rows,
    Turns,
    changed_paths,
    edit_in_turns,
    gather,
    go_on,
    new_moments,
    shapes_of,
    smaller_least_squares,
    state_of,
)

NEEDS = Needs()
_RIDGE = 1.0


class Settings(Turns):
    """configs/editors/ultraedit.yaml"""

    rate: float = Field(gt=0, description="how much of the normalised gradient is taken off, for a unit of |x^|^2")


def edit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Settings,
    context: Context,
) -> Edit:
    """The sum of all turns' updates; the moments go on from those of context.state.

    Raises InputError where there is no matrix or no such layer, fewer than two tokens to normalise by, or an update is
    not finite; NotFiniteError where a gradient is not finite.
    """
    paths = changed_paths(model, settings)
    shapes = shapes_of(model, paths)
    moments = new_moments(shapes)
    go_on(moments, context.state, model.device)

    def solve(rows: Rows) -> dict[str, LowRank | Dense]:
        gather(moments, shapes, rows)
        updates = {}
        for path, (x, delta) in rows.items():
            of_x, of_delta = moments[shapes[path]]
            updates[path] = closed_form(x, of_x.normalised(x), of_delta.normalised(delta), settings.rate)
        return updates

    total = edit_in_turns(model, tokenizer, requests, paths, settings, context, solve)
    return replace(total, state=state_of(moments), info={"editor": "ultraedit", "pairs": len(requests)})


def closed_form(x: Tensor, normal_x: Tensor, normal_delta: Tensor, rate: float) -> LowRank | Dense:
    """D = V^T X (X^T X + 1)^-1, solved in float64 on the smaller side.

    Args:
        x: [n, d_in]
        normal_x: the same, normalised.
        normal_delta: [n, d_out], normalised.
        rate: the step for a unit of |x^|^2.
    """
    v = -rate * normal_x.double().square().sum(dim=1, keepdim=True) * normal_delta.double()
    return smaller_least_squares(x, v, _RIDGE)
