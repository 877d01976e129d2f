"""Edits of several layers for a batch of requests: MEMIT, EMMET and AlphaEdit, which differ in one matrix only.

Layer after layer, with K [d_in, n] the keys of the requests, R [d, n] what is left to their z* divided by the number of
layers left, and A [d_in, n] the method's adjusted keys, the update is R A^T. Linear algebra is float64.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import InputError
from lib.core.params import Auto, Section
from lib.core.records import Request
from lib.core.texts import same
from lib.edits.apply import applied
from lib.edits.edit import Edit
from lib.edits.updates import Dense, LowRank, Update, check_finite
from lib.methods.context import Context
from lib.methods.locating.contexts import group_means, memit_contexts
from lib.methods.locating.optimisation import Optimisation
from lib.methods.locating.places import Place, Side, Token, known_layers, place, states
from lib.methods.locating.second_moments import SecondMoment
from lib.methods.locating.target_vectors import target_values
from lib.methods.locating.values import StoredValues, Values
from lib.models.architecture import Architecture, architecture

NULL_SPACE = "null_space"
"""What stage statistics stores of a second moment under this name is its null space."""
Adjusted = Callable[[int, Tensor], Tensor]
"""(layer, keys K [d_in, n] float64) -> adjusted keys A [d_in, n] float64, both on the model's device"""
_GIVEN_UP, _LONGEST, _SHORTEST = 2.0, 0.05, 1e-10
"""Of Norm-Anchor Scaling: times the reference; the share that its mean leaves out; the least length divided by."""
_FIRST_SHARE, _LAST_SHARE = 0.1, 0.3
"""`auto`: the layers from this share of the depth to that, as the papers' for GPT-J (3 to 8 of 28)."""


class Layered(Section):
    """Settings that the three methods share."""

    layers: list[int] | Auto = Field(description="whose down projections are changed; auto: 0.1 to 0.3 of the depth")
    token: Token = Field(description="where the facts are read and written: the subject's last token, or the prompt's")
    context_tokens: int = Field(ge=1, description="length of the sampled contexts")
    context_length: Literal["corrected", "published"] = Field(
        description="corrected: context_tokens are drawn after each opening; published: the opening counts among them, "
        "as in MEMIT's release"
    )
    seed: int = Field(description="draws the contexts")
    anchor: float | None = Field(
        gt=0, description="length that every value v* is scaled to (Norm-Anchor Scaling); null: none is scaled"
    )
    optimisation: Optimisation


@dataclass(frozen=True, kw_only=True)
class Solved:
    """An edit and what it was made with."""

    edit: Edit
    layers: Sequence[int]
    """The edited layers, ascending."""
    contexts: Sequence[Sequence[str]]
    """Groups of templates that the keys were read in."""


def layers_of(model: PreTrainedModel, settings: Layered) -> list[int]:
    """The layers to change, ascending. Raises InputError where the model does not have one."""
    if settings.layers != "auto":
        return known_layers(model, settings.layers)
    depth = architecture(model).layers(model)
    first, last = round(_FIRST_SHARE * depth), max(round(_FIRST_SHARE * depth), round(_LAST_SHARE * depth))
    return list(range(first, last + 1))


def prepare(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, settings: Layered) -> Sequence[Sequence[str]]:
    """The contexts of all edits of a run: drawn once, of the unedited model, as the released code does."""
    return memit_contexts(
        model, tokenizer, settings.context_tokens, settings.seed, opening_counts=settings.context_length == "published"
    )


def solve(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    requests: Sequence[Request],
    settings: Layered,
    adjusted: Adjusted,
    name: str,
    context: Context,
) -> Solved:
    """The edit for `requests`, in templates that were drawn before (`context.prepared`), or are now.

    Raises InputError where there is none, two of them ask for different answers to the same question, or a solution is
    not finite.
    """
    refuse_conflicts(requests)
    arch, layers = architecture(model), layers_of(model, settings)
    contexts = context.prepared or prepare(model, tokenizer, settings)
    flat = [template for group in contexts for template in group]
    last = arch.block(layers[-1])
    values = _values(model, tokenizer, requests, last, flat, settings, context)
    bare = [place(tokenizer, request, settings.token) for request in requests]
    updates: dict[str, Update] = {}
    norms: list[float] = []
    target, mlp = values.target, arch.mlp_out_of(layers[-1])
    info: dict[str, Any] = {"editor": name, "layers": layers, "templates": contexts, **values.report()}
    for done, layer in enumerate(layers):
        path = arch.mlp_out_of(layer)
        with applied(model, Edit(updates=updates)):
            keys = request_keys(model, tokenizer, requests, arch, layer, contexts, settings)
            parts: list[tuple[str, Side]] = [(last, "output"), (mlp, "output")]
            read = states(model, bare, parts, settings.optimisation.tokens)
        current = read[last, "output"]
        if done == 0:  # the model is as it was when the values were searched
            original = read[mlp, "output"]
            searched = original + values.shift
            info["value_norm"] = reference_norm(searched)
            if settings.anchor is not None:
                target = values.target - searched + anchored(searched, original, settings.anchor)
        left = (target - current).T.double() / (len(layers) - done)  # [d, n]
        updates[path], norm = _update(left, adjusted(layer, keys), f"{path} ({name})")
        norms.append(norm)
    return Solved(edit=Edit(updates=updates, info={**info, "norm": norms}), layers=layers, contexts=contexts)


def _values(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request],
    path: str, templates: Sequence[str], settings: Layered, context: Context,
) -> Values:  # fmt: skip
    """z* of the requests, searched unless a run of any of the methods has stored them."""
    token, optimisation = settings.token, settings.optimisation
    with StoredValues.shared(
        context, requests=[asdict(request) for request in requests], path=path, token=token, templates=templates,
        optimisation=optimisation.model_dump(),
    ) as stored:  # fmt: skip
        return target_values(
            model, tokenizer, requests, path, token, templates, optimisation, show=context.show, stored=stored
        )


def _update(residual: Tensor, adjusted: Tensor, where: str) -> tuple[Update, float]:
    """R A^T and its Frobenius norm: R [d, n], A [d_in, n]; a matrix where n is not below its full rank."""
    d, n = residual.shape
    update: Update
    if n < min(d, len(adjusted)):
        update = LowRank(left=residual.float().contiguous().cpu(), right=adjusted.T.float().contiguous().cpu())
        squared = ((residual.T @ residual) * (adjusted.T @ adjusted)).sum()
    else:
        delta = residual @ adjusted.T
        update, squared = Dense(delta=delta.float().cpu()), (delta**2).sum()
    check_finite(f"{where}; its second moment may be singular", update)
    return update, float(squared.clamp(min=0).sqrt())


def request_keys(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request],
    arch: Architecture, layer: int, contexts: Sequence[Sequence[str]], settings: Layered,
) -> Tensor:  # fmt: skip
    """The requests' keys at a layer, mean over groups of the mean over a group's contexts: [d_in, n] float64."""
    locations: list[Place] = [
        place(tokenizer, request, settings.token, context)
        for request in requests for group in contexts for context in group
    ]  # fmt: skip
    path = arch.mlp_out_of(layer)
    keys = states(model, locations, [(path, "input")], settings.optimisation.tokens)[path, "input"]
    return group_means(keys, len(requests), contexts).T.double()


def anchored(values: Tensor, original: Tensor, length: float) -> Tensor:
    """The values v* [n, d] scaled to `length` (Norm-Anchor Scaling, arXiv 2602.02543): [n, d]

    A value more than twice as long is given up: the MLP's own output, `original` [n, d], stays.
    """
    norms = values.norm(dim=1, keepdim=True)
    scaled = values * (length / norms.clamp(min=_SHORTEST))
    return torch.where(norms > _GIVEN_UP * length, original, scaled)


def reference_norm(values: Tensor) -> float:
    """The mean length of the values v* [n, d] without the longest 5 percent, rounded down: the measure of `anchor`."""
    norms = values.norm(dim=1).double().sort().values
    return float(norms[: len(norms) - int(len(norms) * _LONGEST)].mean())


def memit_keys(moment: Tensor, keys: Tensor, weight: float) -> Tensor:
    """(weight C + K K^T)^-1 K (arXiv 2210.07229, equation 14)"""
    adjusted: Tensor = torch.linalg.solve(weight * moment + keys @ keys.T, keys)
    return adjusted


def emmet_keys(moment: Tensor, keys: Tensor, ridge: float) -> Tensor:
    """C^-1 K (K^T C^-1 K + ridge I)^-1 (arXiv 2403.14236)"""
    solved = torch.linalg.solve(moment, keys)
    inner = keys.T @ solved + ridge * torch.eye(keys.shape[1], dtype=keys.dtype, device=keys.device)
    adjusted: Tensor = torch.linalg.solve(inner, solved.T).T
    return adjusted


def null_space(moment: Tensor, threshold: float) -> Tensor:
    """P = U U^T of the eigenvectors of C whose eigenvalue is below the threshold (arXiv 2410.02355): [d_in, d_in]"""
    values, vectors = torch.linalg.eigh(moment)
    basis: Tensor = vectors[:, values < threshold]
    return basis @ basis.T


def derived_null_space(moment: Tensor, threshold: float) -> dict[str, Tensor]:
    """P of the second moment, under its name: what stage statistics makes of it once a model; it grows as d_in^3."""
    return {NULL_SPACE: null_space(moment.double(), threshold).float()}


def null_space_of(second_moment: SecondMoment, threshold: float, device: torch.device) -> Tensor:
    """P of a second moment, as stage statistics stored it, else computed: [d_in, d_in] float64 on the device"""
    derived = second_moment.derived or derived_null_space(second_moment.moment.to(device), threshold)
    return derived[NULL_SPACE].to(device).double()


def alphaedit_keys(projection: Tensor, keys: Tensor, earlier: Tensor, ridge: float) -> Tensor:
    """[P (K K^T + Kp Kp^T) + ridge I]^-1 P K, with Kp Kp^T of the batches before (arXiv 2410.02355)"""
    left = projection @ (keys @ keys.T + earlier) + ridge * torch.eye(len(keys), dtype=keys.dtype, device=keys.device)
    adjusted: Tensor = torch.linalg.solve(left, projection @ keys)
    return adjusted


def refuse_conflicts(requests: Sequence[Request]) -> None:
    """Raise InputError where two requests of a batch have the same question and different answers, or there is none.

    The same question: the same filled prompt, or the same subject and relation.
    """
    if not requests:
        raise ValueError("wanted at least one request, found none")
    first_with: dict[tuple[str, ...], Request] = {}
    for request in requests:
        questions = [
            (request.prompt,),
            *([(request.subject, request.relation)] if request.subject and request.relation else []),
        ]
        for question in questions:
            earlier = first_with.setdefault(question, request)
            if not same(earlier.target_new, request.target_new):
                raise InputError(
                    f"requests {earlier.request_id!r} and {request.request_id!r} ask for {earlier.target_new!r} and "
                    f"{request.target_new!r} to the same question ({request.prompt!r}): wanted one answer in a batch. "
                    "Drop one, or edit one after the other."
                )
