"""What does not fit a model is said before any work, and of which edit."""

from dataclasses import replace
from pathlib import Path

import pytest

from lib.core.errors import InputError
from lib.core.files import write_json
from lib.models.loading import load_tokenizer
from lib.models.manifest import MANIFEST
from lib.scoring.limits import check_texts
from tests.helpers.models import byte_tokenizer, tiny_model
from tests.helpers.small import POOL, REQUESTS

LONG = "A note about the town." * 8


def test_texts_that_fit_pass() -> None:
    check_texts(tiny_model("gpt2"), byte_tokenizer(), REQUESTS, POOL)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_prompt_longer_than_the_positions_names_the_edit_and_its_length(family: str) -> None:
    requests = [REQUESTS[0], replace(REQUESTS[1], prompt=LONG)]
    tokens = len(LONG) + len(" Oslo") - 1
    with pytest.raises(InputError, match=rf"edit e1, efficacy .* take {tokens} tokens; .* 128\. Shorten the prompt"):
        check_texts(tiny_model(family), byte_tokenizer(), requests, POOL)


def test_a_fact_of_the_pool_that_is_too_long_is_named() -> None:
    with pytest.raises(InputError, match="fact Dan of the pool"):
        check_texts(tiny_model("gpt2"), byte_tokenizer(), REQUESTS, [replace(POOL[0], prompt=LONG)])


def test_a_token_without_an_embedding_names_the_edit_and_the_token() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens([f"<{letter}>" for letter in "abcde"])  # 257 of its own, an embedding of 260
    requests = [REQUESTS[0], replace(REQUESTS[1], target_new="<e>")]
    with pytest.raises(InputError, match=r"edit e1, .*token 261 of '<e>'; GPT2LMHeadModel has embeddings for 260"):
        check_texts(tiny_model("gpt2"), tokenizer, requests, POOL)


def test_a_tokenizer_without_an_end_of_text_token_is_refused(tmp_path: Path) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.eos_token = None
    tokenizer.save_pretrained(tmp_path)
    write_json(tmp_path / MANIFEST, {"source": "tiny", "name": "small"})
    with pytest.raises(InputError, match=r"end-of-text token.*Set eos_token in its tokenizer_config\.json"):
        load_tokenizer(tmp_path)


def test_a_target_counts_as_it_is_joined_to_its_prompt() -> None:
    """A byte is a token: 120 of the prompt and 8 of the target are the 128 positions, where no space is between."""
    request = replace(REQUESTS[0], prompt="a" * 120, target_new="b" * 9, target_true=None, template=None, subject=None)
    request = replace(request, separator="nothing", paraphrases=(), locality=())
    check_texts(tiny_model("gpt2"), byte_tokenizer(), [request], [])
    with pytest.raises(InputError, match="edit e0"):
        check_texts(tiny_model("gpt2"), byte_tokenizer(), [replace(request, separator="space")], [])
