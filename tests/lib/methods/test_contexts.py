"""Contexts of MEMIT: how many tokens are drawn after each opening, and keys without a second moment."""

from typing import Any

import pytest
import torch

from lib.editors import memit
from lib.methods.locating import contexts
from lib.methods.locating.layered import request_keys
from lib.models.architecture import architecture
from tests.helpers.baselines import REQUESTS, context, settings
from tests.helpers.models import byte_tokenizer, tiny_model


@pytest.mark.parametrize(
    ("opening_counts", "length", "lengths"),
    [
        (False, 10, {"The": 10, "Therefore": 10, "Because": 10, "I": 10, "You": 10}),
        (True, 10, {"The": 7, "Therefore": 1, "Because": 3, "I": 9, "You": 7}),  # a token is a letter here
        (True, 5, {"The": 2, "Therefore": 0, "Because": 0, "I": 4, "You": 2}),
    ],
)
def test_an_opening_counts_among_the_tokens_of_its_context_as_published(
    opening_counts: bool, length: int, lengths: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contexts, "_sampled", lambda model, tokenizer, prompts, length: ["x" * length for _ in prompts])
    groups = contexts.memit_contexts(tiny_model("llama"), byte_tokenizer(), length, 0, opening_counts=opening_counts)
    assert groups == [["{}"], [f"{opening}{'x' * count}. {{}}" for opening, count in lengths.items()]]


def test_without_second_moments_the_identity_weighs_the_keys_and_no_statistics_are_read() -> None:
    model: Any = tiny_model("llama")
    tokenizer, arch = byte_tokenizer(), architecture(model)
    how = settings(memit, "memit", layers=[0], moments=False, context_tokens=4, moment_weight=3.0)
    edit = memit.edit(model, tokenizer, REQUESTS, how, context())
    keys = request_keys(model, tokenizer, REQUESTS, arch, 0, edit.info["templates"], how)
    expected = torch.linalg.inv(3.0 * torch.eye(len(keys), dtype=torch.float64) + keys @ keys.T) @ keys
    update: Any = edit.updates[arch.mlp_out_of(0)]
    torch.testing.assert_close(update.right.double(), expected.T, atol=1e-6, rtol=1e-4)
    assert memit.moment_layers(model, how) == []
