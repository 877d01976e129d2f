"""Rank-one edits: ROME (arXiv 2202.05262, equation 2) and R-ROME (arXiv 2403.07175), which differ in their keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.params import Auto, Section
from lib.core.records import Request
from lib.edits.apply import applied
from lib.edits.edit import Edit, compose
from lib.edits.updates import LowRank, check_finite
from lib.methods.context import Context
from lib.methods.locating.contexts import rome_contexts
from lib.methods.locating.optimisation import Optimisation
from lib.methods.locating.places import Side, Token, known_layers, place, states
from lib.methods.locating.second_moments import load_moment
from lib.methods.locating.target_vectors import target_values
from lib.methods.locating.values import NOWHERE, StoredValues
from lib.models.architecture import architecture

Keys = Literal["rome", "averaged", "prompt"]
_DEPTH_SHARE = 0.3
"""`auto`: the layer at this share of the depth; the papers' are 17 of 48 (GPT-2 XL) and 5 of 28 (GPT-J)."""
_SIDES: tuple[Side, Side] = ("input", "output")


class RankOne(Section):
    """Settings of ROME and R-ROME."""

    layer: int | Auto = Field(description="whose down projection is changed; auto: at 0.3 of the depth")
    token: Token = Field(description="where the fact is read and written: the subject's last token, or the prompt's")
    moments: bool = Field(description="weigh the key with the inverse second moment of ordinary keys")
    context_tokens: list[Annotated[int, Field(ge=2)]] = Field(
        description="lengths of the sampled contexts, in tokens with the end-of-text token that they continue"
    )
    seed: int = Field(description="draws the contexts")
    optimisation: Optimisation


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What all edits of a run share: made once, of the unedited model, as the released code does."""

    layer: int
    contexts: list[str]
    factored: tuple[Tensor, Tensor] | None
    """LU factors of the second moment [d_in, d_in], float64, on the model's device; None without."""

    def directions(self, keys: Tensor) -> Tensor:
        """C^-1 k, normalised: [n, d_in] -> [n, d_in] float64"""
        solved = keys if self.factored is None else torch.linalg.lu_solve(*self.factored, keys.T).T
        normalised: Tensor = solved / solved.norm(dim=1, keepdim=True)
        return normalised


def layer_of(model: PreTrainedModel, settings: RankOne) -> int:
    """The layer to change. Raises InputError where the model does not have it."""
    depth = architecture(model).layers(model)
    return known_layers(model, [round(_DEPTH_SHARE * depth) if settings.layer == "auto" else int(settings.layer)])[0]


def prepare(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: RankOne, context: Context
) -> Prepared:
    """Factor the second moment and draw the contexts. Raises FileNotFoundError where there is no second moment."""
    layer = layer_of(model, settings)
    factored = None
    if settings.moments:
        moment = load_moment(context.statistics, architecture(model).mlp_out_of(layer)).moment
        factored = torch.linalg.lu_factor(moment.to(model.device).double())
    (contexts,) = rome_contexts(model, tokenizer, settings.context_tokens, settings.seed)
    return Prepared(layer=layer, contexts=contexts, factored=factored)


def edit_each(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request],
    settings: RankOne, context: Context, keys: Keys, name: str,
) -> list[Edit]:  # fmt: skip
    """Every request alone on the model as it is, values optimised together.

    The direction comes from the key averaged over contexts and the divisor from the bare prompt's (rome), or both from
    the averaged key (averaged) or from the bare prompt's (prompt). Raises InputError where an update is not finite.
    """
    prepared = context.prepared or prepare(model, tokenizer, settings, context)
    return _edits(model, tokenizer, requests, settings, prepared, keys, name)


def edit_all(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request],
    settings: RankOne, context: Context, keys: Keys, name: str,
) -> Edit:  # fmt: skip
    """The requests one after another, each on the model with those before; contexts are drawn once, before the first.

    After a kill values that were found are taken as they were stored, so that the rest goes on with the same bytes.

    What `info` says of requests are lists in their order.
    """
    prepared = context.prepared or prepare(model, tokenizer, settings, context)
    total = Edit(updates={})
    for index in context.progress(range(len(requests))):
        with applied(model, total):
            stored = StoredValues.beside(context, f"{index:08d}")
            (step,) = _edits(model, tokenizer, [requests[index]], settings, prepared, keys, name, stored)
        lists = {key: [*total.info.get(key, []), *step.info[key]] for key in _OF_REQUESTS}
        total = compose(total, Edit(updates=step.updates, info={**step.info, **lists}))
    return total


_OF_REQUESTS = ("loss", "iterations", "divisor", "norm")


def _edits(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request],
    settings: RankOne, prepared: Prepared, keys: Keys, name: str, stored: StoredValues = NOWHERE,
) -> list[Edit]:  # fmt: skip
    arch = architecture(model)
    path = arch.mlp_out_of(prepared.layer)
    parts = [(path, side) for side in _SIDES]
    module = arch.mlp_of(prepared.layer)
    values = target_values(
        model, tokenizer, requests, module, settings.token, prepared.contexts, settings.optimisation, parts,
        stored=stored,
    )  # fmt: skip
    # Outputs, not weight times input: an earlier low-rank edit runs beside the weight.
    inputs_and_outputs = values.states or states(
        model,
        [place(tokenizer, request, settings.token, context) for request in requests for context in prepared.contexts],
        parts,
        settings.optimisation.tokens,
    )
    seen, outputs = (
        inputs_and_outputs[part].view(len(requests), len(prepared.contexts), -1).double() for part in parts
    )
    directions = prepared.directions(seen[:, 0] if keys == "prompt" else seen.mean(dim=1))  # [n, d_in]
    key, output = (vectors.mean(dim=1) if keys == "averaged" else vectors[:, 0] for vectors in (seen, outputs))
    divisor = (key * directions).sum(dim=1)  # [n]
    left = (values.target.double() - output) / divisor[:, None]
    report = values.report()
    edits = []
    for index, request in enumerate(requests):
        update = LowRank(left=left[index][:, None].float().cpu(), right=directions[index][None].float().cpu())
        check_finite(f"{path} ({name} of edit {request.request_id!r}, divisor {divisor[index]:.3g})", update)
        info = {
            "editor": name, "layers": [prepared.layer], "templates": [prepared.contexts],
            **{key: [per_request[index]] for key, per_request in report.items()},
            "divisor": [float(divisor[index])], "norm": [float(left[index].norm())],
        }  # fmt: skip
        edits.append(Edit(updates={path: update}, info=info))
    return edits
