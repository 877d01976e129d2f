"""Published masking against the release's loss as it is described, computed with plain padded forward passes."""

import pytest
import torch

from lib.methods.training.example import Example
from lib.methods.training.masking import PublishedMasking
from lib.methods.training.objective import Objective
from lib.models.packing import Item
from tests.helpers.models import tiny_model

END = 0
FACTS = [
    Example(item=Item(prompt=(9, 4, 9), targets=((7, 4),))),  # the 4 of the prompt is a token of the target
    Example(item=Item(prompt=(5, 6), targets=((8, 3, 2, 5),))),
    Example(item=Item(prompt=(1,), targets=((2,),))),
]
TEXT = Example(item=Item(prompt=(7,), targets=((8, 9),)), text=True)


@pytest.fixture
def model() -> torch.nn.Module:
    network: torch.nn.Module = tiny_model("gpt2")
    return network


def padded_nll(model: torch.nn.Module, examples: list[Example], length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """-log p of every token after the first of rows that are padded with the end of text: [n, length - 1], and ids.

    The end of text behind a fact is seen as text is, padding is not.
    """
    rows = [[*example.item.prompt, *example.item.targets[0], *[END] * (not example.text)] for example in examples]
    ids = torch.tensor([[*row, *[END] * (length - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].log_softmax(-1)
    return -logits.gather(2, ids[:, 1:, None])[..., 0], ids


def masking(masks_prompt: bool) -> PublishedMasking:
    return PublishedMasking(end=END, masks_prompt=masks_prompt, text_tokens=6)


def test_with_the_prompt_masked_every_token_with_an_id_of_the_target_is_trained(model: torch.nn.Module) -> None:
    nll, ids = padded_nll(model, FACTS, 7)
    targets = [set(example.item.targets[0]) for example in FACTS]
    is_trained = torch.tensor(
        [[token in own for token in row] for row, own in zip(ids[:, 1:].tolist(), targets, strict=True)]
    )
    assert is_trained.sum(1).tolist() == [3, 4, 1]
    loss = masking(True).loss(model, FACTS, FACTS, 0.0)
    torch.testing.assert_close(loss, nll[is_trained].mean())


def test_without_the_mask_padding_to_the_longest_of_the_batch_is_trained(model: torch.nn.Module) -> None:
    nll, _ = padded_nll(model, FACTS, 7)  # 6 tokens, and the end of text
    parts = [masking(False).loss(model, [example], FACTS, 0.0) for example in FACTS]
    torch.testing.assert_close(torch.stack(parts).sum(), nll.mean())


def test_plain_text_is_trained_to_its_full_length_with_its_share(model: torch.nn.Module) -> None:
    batch = [*FACTS, TEXT]
    text_nll, _ = padded_nll(model, [TEXT], 6)
    alone = masking(True).loss(model, FACTS, FACTS, 0.0)
    loss = Objective(text=0.1, masking=masking(True)).loss(model, batch, batch)
    torch.testing.assert_close(loss, 0.9 * alone + 0.1 * text_nll.mean())


@pytest.mark.parametrize(("masks_prompt", "passes"), [(False, [[0], [1], [2], [3]]), (True, [[0], [1, 2], [3]])])
def test_forward_passes_are_cut_by_the_tokens_that_rows_take(masks_prompt: bool, passes: list[list[int]]) -> None:
    batch = [FACTS[1], FACTS[0], FACTS[2], TEXT]
    assert masking(masks_prompt).cut(batch, batch, 8) == passes
