"""The directions of an adapter: long at the edits' subjects, short elsewhere, and a plain adapter once stored."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel

from lib.core.params import Lora
from lib.core.records import Request
from lib.edits.adapter import new_adapter, save_adapter, target_modules
from lib.edits.apply import applied, linear_weight
from lib.edits.edit import Edit
from lib.methods.locating.places import Place, states
from lib.methods.training.directions import Located, located_tokens, subject_directions
from lib.methods.training.drift import drift_of
from lib.methods.training.forms import Forms, forms
from lib.methods.training.whitening import input_moments, whitening
from lib.models.packing import Item
from tests.helpers.models import TARGETS, VOCABULARY, byte_tokenizer, tiny_model

ITEMS = [
    Item(prompt=tuple((7 * n + k) % VOCABULARY for k in range(1 + n % 5)), targets=((n % VOCABULARY, 5, 3),))
    for n in range(200)
]
LOCATED = [Located(ids=(9, 4, 200 + n), positions=(2,)) for n in range(3)]
RANK = 4


@pytest.fixture(params=["gpt2", "llama"])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def lora_of(family: str) -> Lora:
    return Lora(r=RANK, alpha=8.0, targets=TARGETS[family], layers=[1, 1])


def directions_of(model: torch.nn.Module, family: str) -> dict[str, torch.Tensor]:
    basis = whitening(input_moments(model, ITEMS, list(target_modules(model, lora_of(family))), 64), 1e-3)
    return subject_directions(model, LOCATED, basis, RANK, 64)


def test_they_tell_subjects_from_other_tokens(family: str) -> None:
    model = tiny_model(family)
    directions = directions_of(model, family)
    moments = input_moments(model, ITEMS, list(directions), 64)
    locations = [Place(ids=text.ids, position=text.positions[0]) for text in LOCATED]
    keys = states(model, locations, [(path, "input") for path in directions], 64)
    for path, matrix in directions.items():
        at_subjects = (keys[path, "input"] @ matrix.T).square().sum(1).mean()
        elsewhere = ((matrix @ moments[path].every) * matrix).sum()
        assert float(at_subjects) == pytest.approx(1.0, rel=0.2)
        assert elsewhere < 0.5 * at_subjects


def test_drift_is_the_share_of_the_outputs_energy_that_the_adapter_adds(family: str) -> None:
    model = tiny_model(family)
    directions = directions_of(model, family)
    moments = input_moments(model, ITEMS, list(directions), 64)
    adapter = new_adapter(model, lora_of(family), 0, directions)
    assert drift_of(model, directions, moments).of(adapter).item() == 0.0
    with torch.no_grad():
        for matrix in adapter.b.values():
            matrix.normal_(std=0.5)
    inputs: dict[str, list[torch.Tensor]] = {path: [] for path in directions}
    for path in directions:
        module = model.get_submodule(path)
        module.register_forward_pre_hook(lambda _, arguments, path=path: inputs[path].append(arguments[0][0]))
    with torch.no_grad():
        for item in ITEMS:
            model(torch.tensor([[*item.prompt, *item.targets[0][:-1]]]))
    shares = []
    for path, rows in ((path, torch.cat(pieces)) for path, pieces in inputs.items()):
        weight = linear_weight(model.get_submodule(path))
        change = adapter.scale * (adapter.b[path] @ adapter.a[path]).detach()
        shares.append(float((rows @ change.T).square().sum() / (rows @ weight.T).square().sum()))
    drift = drift_of(model, directions, moments).of(adapter)
    assert drift.item() == pytest.approx(sum(shares) / len(shares), rel=1e-3)
    drift.backward()  # type: ignore[no-untyped-call]
    assert all(matrix.grad is not None and matrix.grad.abs().sum() > 0 for matrix in adapter.b.values())


def test_rows_beyond_the_number_of_subjects_are_zero(family: str) -> None:
    for matrix in directions_of(tiny_model(family), family).values():
        assert matrix.shape[0] == RANK
        assert (matrix[3:] == 0).all()
        assert (matrix[:3].norm(dim=1) > 0).all()


def test_only_b_is_trained_and_what_is_stored_computes_as_what_was_trained(family: str, tmp_path: Path) -> None:
    model = tiny_model(family)
    adapter = new_adapter(model, lora_of(family), 0, directions_of(model, family))
    assert [id(matrix) for matrix in adapter.parameters()] == [id(matrix) for matrix in adapter.b.values()]
    with torch.no_grad():
        for matrix in adapter.b.values():
            matrix.normal_(std=0.5)
    ids = torch.tensor([[9, 4, 201, 7]])
    with torch.no_grad():
        unedited = model(ids).logits
        with adapter.attached(model):
            trained = model(ids).logits
        edit = Edit(updates=adapter.updates())
        with applied(model, edit):
            torch.testing.assert_close(model(ids).logits, trained, atol=1e-4, rtol=1e-4)
    save_adapter(tmp_path, edit.updates, model, lora_of(family), "tiny")
    loaded = PeftModel.from_pretrained(tiny_model(family), tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(loaded(ids).logits, trained, atol=1e-4, rtol=1e-4)
    assert (trained - unedited).abs().max() > 1e-2


def test_the_subjects_tokens_are_located_or_the_prompts_last_where_it_is_not_named() -> None:
    tokenizer = byte_tokenizer()
    requests = [
        Request(
            request_id=name, dataset="own", subject=name, relation=None, prompt=prompt, template=None,
            target_new="Rome", target_true=None,
        )
        for name, prompt in (("Ann", "Ann lives in"), ("Bo", "She lives in"))
    ]  # fmt: skip
    located = located_tokens(
        tokenizer,
        forms(tokenizer, requests, [], ["It rains."], Forms(after_text=1, words_left_out=0, questions=0, seed=0)),
    )
    texts = [tokenizer.decode([text.ids[position] for position in text.positions]) for text in located]
    assert [text.strip() for text in texts] == ["Ann", "Ann", "n", "n"]
    assert tokenizer.decode(list(located[1].ids)) == "It rains. Ann lives in"
