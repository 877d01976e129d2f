"""Every family of transformers is scored and writes as one plain forward pass a pair says, or is refused by name."""

from typing import Any

import pytest
import torch
from transformers import LlamaConfig

from lib.core.errors import InputError
from lib.generation.decoding import continuations
from lib.generation.engine import EncodedPrompt, Sampling
from lib.models.check import check, packed_for, reading_of
from lib.models.likelihood import score_targets
from lib.models.loading import check_split
from lib.models.packing import Item, Packed
from tests.helpers.families import FAMILIES, family_model

RIGHT = [name for name, family in FAMILIES.items() if family.refusal is None]
REFUSED = [name for name, family in FAMILIES.items() if family.refusal is not None]
PROMPT = tuple(range(20, 60))
ITEMS = [
    Item(prompt=(7, 8, 9, 10), targets=((11, 12, 13), (14, 15))),
    Item(prompt=(16, 17, 18, 19, 20, 21), targets=((22,), (23, 24, 25, 26))),
    Item(prompt=PROMPT, targets=((30, 31), (32, 33, 34))),
]
GREEDY = Sampling(max_tokens=0, temperature=1.0, top_k=0, greedy=True)


def plain_nll(model: torch.nn.Module, prompt: tuple[int, ...], target: tuple[int, ...]) -> float:
    """Sum of -log p by one forward pass over the ids of one pair, and nothing else."""
    logits = model(torch.tensor([[*prompt, *target]])).logits[0, len(prompt) - 1 : -1].float()
    return torch.nn.functional.cross_entropy(logits, torch.tensor(target), reduction="sum").item()


def plain_text(model: torch.nn.Module, ids: tuple[int, ...], tokens: int) -> list[int]:
    """The likeliest token, `tokens` times, the whole text read anew for each."""
    text = list(ids)
    for _ in range(tokens):
        text.append(int(model(torch.tensor([text]), use_cache=False).logits[0, -1].argmax()))
    return text[len(ids) :]


@pytest.mark.parametrize("name", RIGHT)
def test_packed_scores_and_greedy_texts_are_those_of_plain_passes(name: str) -> None:
    model = family_model(name)
    check_split(model)
    reading = reading_of(model)
    assert (reading.rows, reading.texts) == (FAMILIES[name].rows, FAMILIES[name].texts)
    scores = score_targets(model, packed_for(model, ITEMS))
    expected = [plain_nll(model, item.prompt, target) for item in ITEMS for target in item.targets]
    assert scores.nll.tolist() == pytest.approx(expected, abs=1e-3)
    prompts = [EncodedPrompt(ids=item.prompt, tokens=5) for item in ITEMS]
    texts = continuations(model, prompts, GREEDY, slots=4)
    assert texts == [plain_text(model, prompt.ids, 5) for prompt in prompts]


@pytest.mark.parametrize("name", REFUSED)
def test_a_family_that_no_way_of_reading_is_right_for_is_refused_by_name(name: str) -> None:
    model = family_model(name)
    with pytest.raises(InputError, match=f"{type(model).__name__}.*{FAMILIES[name].refusal}"):
        check_split(model)
        reading_of(model)


def test_a_prompt_longer_than_the_window_is_scored_with_the_window() -> None:
    model = family_model("mistral")  # 16 tokens
    prompt = " ".join(["a museum of old machines"] * 3).encode()
    item = Item(prompt=tuple(prompt), targets=(tuple(b"Fairbanks"), tuple(b"Castellan")))
    scores = score_targets(model, packed_for(model, [item, *ITEMS]))
    expected = [plain_nll(model, item.prompt, target) for target in item.targets]
    assert scores.nll.tolist()[:2] == pytest.approx(expected, abs=1e-3)
    model.config.sliding_window = None
    unbounded = plain_nll(model, item.prompt, item.targets[0])
    assert abs(unbounded - expected[0]) > 0.1


def test_rows_that_drop_a_window_of_thousands_of_tokens_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    model = family_model("mistral:4096")

    def without_window(packed: Packed, dtype: torch.dtype, config: Any) -> Any:
        return attention_mask(packed, dtype, LlamaConfig())

    attention_mask = Packed.attention_mask
    monkeypatch.setattr(Packed, "attention_mask", without_window)
    assert check(model).rows == "isolated"
    assert model.config.sliding_window == 4096


@pytest.mark.parametrize(("name", "texts"), [("gemma2", "batched"), ("lfm2", "single")])
def test_a_model_that_only_writes_may_cap_its_logits(name: str, texts: str) -> None:
    assert check(family_model(name), scored=False).texts == texts


def test_at_least_25_families_are_tried() -> None:
    assert len({name.partition(":")[0] for name in FAMILIES}) >= 25
