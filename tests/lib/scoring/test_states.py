"""Hidden states after locality prompts: as text, as a file, and in the items that are scored."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lib.core.errors import InputError
from lib.edits.contexts import Contexts
from lib.models.next_token import prompt_items
from lib.models.packing import Item
from lib.models.tokens import encode
from lib.scoring.prompts import locality_items, scored_prompts
from lib.scoring.states import LocalityStates, from_text, in_text
from tests.helpers.models import byte_tokenizer
from tests.lib.scoring.test_scorer import edit, requests, scorer


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_as_text_states_stay_the_same_to_the_bit(dtype: torch.dtype) -> None:
    values = torch.randn(3, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    assert torch.equal(from_text(in_text(values), dtype), values)
    assert len(from_text([], dtype)) == 0


def test_a_file_gives_each_prompt_its_state_and_is_of_these_requests(tmp_path: Path) -> None:
    states = scorer().before().states
    states.write(tmp_path / "states.safetensors")
    stored = LocalityStates.read(tmp_path / "states.safetensors", requests())
    keys = [("Lima", 1), ("Rome", 0)]
    assert torch.equal(stored.after(keys, torch.device("cpu")), states.values[[5, 0]])
    with pytest.raises(InputError, match="wanted 8 states, one a locality prompt; found 10"):
        LocalityStates.read(tmp_path / "states.safetensors", requests(4))


def test_a_prompt_that_is_joined_with_its_target_stands_in_an_item_of_its_own() -> None:
    tokenizer = byte_tokenizer()
    prompts = list(scored_prompts(requests(2), Contexts()))
    items = encode(
        tokenizer, [prompt.prompt for prompt in prompts], [[text for _, text in prompt.targets] for prompt in prompts]
    )
    of_locality = [index for index, prompt in enumerate(prompts) if prompt.kind == "locality"]
    keys, apart = locality_items(tokenizer, prompts, items)
    assert keys == dict(zip(of_locality, [("Rome", 0), ("Rome", 1), ("Oslo", 0), ("Oslo", 1)], strict=True))
    assert apart == []
    second = of_locality[1]
    joined = Item(prompt=items[second].prompt[:-1], targets=items[second].targets)
    keys, apart = locality_items(tokenizer, prompts, [*items[:second], joined, *items[second + 1 :]])
    assert [*keys] == [of_locality[0], len(items), *of_locality[2:]]
    assert [*keys.values()] == [("Rome", 0), ("Rome", 1), ("Oslo", 0), ("Oslo", 1)]
    assert apart == prompt_items(tokenizer, [prompts[second].prompt])


def test_requests_without_locality_prompts_have_no_divergences() -> None:
    """The fault: where no prompt has a state, an empty one of no width met the head."""
    bare = scorer(scored_requests=[replace(request, locality=()) for request in requests()])
    unedited = bare.before()
    assert not unedited.tables.divergences
    after = replace(bare, unedited=lambda: unedited).after(edit())
    assert after.scores
    assert not after.divergences
