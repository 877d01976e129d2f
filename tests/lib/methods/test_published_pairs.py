"""Training pairs as the release makes them: DPO's of neighbors too, and single edits with its choice of tokens."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from lib.core.errors import InputError
from lib.core.params import Lora
from lib.core.records import Fact, UneditedFact
from lib.editors import lora
from lib.methods.training.published import published_pairs
from tests.helpers.baselines import REQUESTS, context
from tests.helpers.models import TARGETS, byte_tokenizer, tiny_model

NEIGHBORS = [
    UneditedFact(
        request_id=REQUESTS[0].request_id, fact_id=name, rank=rank, similarity=None, prompt=f"{name} lives in",
        target="Pau",
    )
    for rank, name in enumerate(["Eve", "Fay"])
]  # fmt: skip
POOL = [
    Fact(fact_id=name, subject=name, relation="home", prompt=f"{name} lives in", target="Pau", target_new=new)
    for name, new in [("Eve", "Riga"), ("Fay", None)]
]


def training(**train: Any) -> Any:
    """A context with neighbors in which these settings of section train hold."""
    own = replace(context(POOL), neighbors=NEIGHBORS, lora=Lora(r=2, alpha=4.0, targets=TARGETS["llama"]))
    quick = {"epochs": 2, "lr": 1e-2, "batch_size": 4}
    return replace(own, train=own.train.model_copy(update=quick | train))


def test_published_dpo_pairs_a_neighbors_own_object_with_the_other_of_its_record() -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    examples = published_pairs(model, tokenizer, REQUESTS, training(dpo=0.5, dpo_pairs="published"))
    paired = [example.reference is not None for example in examples]
    assert paired == [True, True, True, True, False]  # the last neighbor's record names no other object
    assert [tokenizer.decode(target) for target in examples[3].item.targets] == [" Pau<end>", " Riga<end>"]
    assert {target[-1] for example in examples for target in example.item.targets} == {tokenizer.eos_token_id}
    corrected = published_pairs(model, tokenizer, REQUESTS, training(dpo=0.5))
    assert [example.reference is not None for example in corrected] == [True, True, True, False, False]
    assert tokenizer.decode(corrected[0].item.targets[0]) == " Rome"


def test_published_dpo_without_a_record_that_names_another_object_is_refused() -> None:
    own = replace(training(dpo=0.5, dpo_pairs="published"), pool=[replace(fact, target_new=None) for fact in POOL])
    with pytest.raises(InputError, match=r"train\.dpo_pairs=published: wanted neighbors whose record names another"):
        published_pairs(tiny_model("llama"), byte_tokenizer(), REQUESTS, own)


@pytest.mark.parametrize("mask_prompt", [True, False])
def test_single_edits_with_published_masking_are_those_of_each_alone(mask_prompt: bool) -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    settings = lora.Settings.model_validate({"weight_decay": 0.0, "max_grad_norm": 1.0, "text_tokens": 16})
    own = training(masking="published", mask_prompt=mask_prompt)
    corrected = training(mask_prompt=mask_prompt)
    edits = lora.edit_each(model, tokenizer, REQUESTS, settings, own)
    for request, edit in zip(REQUESTS, edits, strict=True):
        alone = lora.edit(model, tokenizer, [request], settings, own.of([request]))
        otherwise = lora.edit(model, tokenizer, [request], settings, corrected.of([request]))
        for path, update in alone.updates.items():
            change: Any = update
            assert torch.equal(change.dense(), edit.updates[path].dense())  # type: ignore[union-attr]
        assert any(
            not torch.allclose(update.dense(), otherwise.updates[path].dense())  # type: ignore[union-attr]
            for path, update in alone.updates.items()
        )
