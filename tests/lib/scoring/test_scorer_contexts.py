"""Text that an edit puts before its prompts: it is seen by them alone, and is read once for all of them."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from lib.core.params import Greedy
from lib.core.records import Request
from lib.edits.edit import Edit
from tests.lib.scoring.test_scorer import SETTINGS, requests, scorer


def test_a_context_comes_before_every_prompt_of_its_own_edit_only() -> None:
    after = scorer().after(Edit(updates={}, contexts={"Oslo": "Oslo is in Gaul. "}))
    before = scorer().before().tables
    changed = {
        row.request_id
        for row, reference in zip(after.scores, before.scores, strict=True)
        if abs(row.nll - reference.nll) > 1e-4  # a longer prompt may change the length of rows, and so the rounding
    }
    assert changed == {row.request_id for row in after.divergences if row.kl > 1e-6} == {"Oslo"}
    written = {row.request_id for row, reference in zip(after.generations, before.generations, strict=True)
               if row.text != reference.text}  # fmt: skip
    assert written == {"Oslo"}
    assert {row.prompt for row in after.generations} == {row.prompt for row in before.generations}


@pytest.mark.parametrize("micro_batch_tokens", [128, 2000])
def test_what_stands_before_all_prompts_of_an_edit_is_read_once_and_changes_no_number(micro_batch_tokens: int) -> None:
    """The fault: editing in context read its demonstrations anew before every prompt, minutes for one edit."""
    contexts = {request.request_id: f"{request.request_id} was here. " * 5 for request in requests()}
    in_context = scorer(micro_batch_tokens=micro_batch_tokens)
    written_out = [_written_out(request, contexts[request.request_id]) for request in requests()]
    by_itself = scorer(
        scored_requests=written_out, micro_batch_tokens=micro_batch_tokens, greedy=Greedy(tokens=3, limit=0),
        generations=SETTINGS.generations.model_copy(update={"limit": 0}),
    )  # fmt: skip
    unedited = in_context.before()
    in_context = replace(in_context, unedited=lambda: unedited)
    with _TokensRead(in_context.model) as read_once:
        after = in_context.after(Edit(updates={}, contexts=contexts), texts=False)
    with _TokensRead(by_itself.model) as read_apart:
        expected = by_itself.before().tables.scores
    for row, reference in zip(after.scores, expected, strict=True):
        assert (row.prompt, row.target, row.argmax) == (reference.prompt, reference.target, reference.argmax)
        assert row.nll == pytest.approx(reference.nll, abs=1e-3)
    assert read_once.tokens < 0.75 * read_apart.tokens


class _TokensRead:
    """A context manager: how many tokens the model reads within it, padding included."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.tokens = 0
        self._embedding: nn.Module = model.get_input_embeddings()

    def __enter__(self) -> "_TokensRead":
        self._handle = self._embedding.register_forward_pre_hook(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.remove()

    def _count(self, _: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        self.tokens += inputs[0].numel()


def _written_out(request: Request, context: str) -> Request:
    """The request with the context in each of its prompts."""
    return replace(
        request,
        prompt=context + request.prompt,
        paraphrases=tuple(context + prompt for prompt in request.paraphrases),
        locality=tuple(replace(locality, prompt=context + locality.prompt) for locality in request.locality),
    )
