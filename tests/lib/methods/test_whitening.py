"""The basis of an adapter's inputs: it whitens their second moment."""

import pytest
import torch

from lib.core.errors import InputError
from lib.core.params import Lora
from lib.edits.adapter import target_modules
from lib.methods.training.whitening import input_moments, whitening
from lib.models.packing import Item
from tests.helpers.models import TARGETS, VOCABULARY, tiny_model

ITEMS = [
    Item(prompt=tuple((7 * n + k) % VOCABULARY for k in range(1 + n % 5)), targets=((n % VOCABULARY, 5, 3),))
    for n in range(60)
]


@pytest.fixture(params=["gpt2", "llama"])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def some_paths(model: torch.nn.Module, family: str) -> list[str]:
    return list(target_modules(model, Lora(r=1, alpha=1.0, targets=TARGETS[family])))[:3]


def test_moments_are_those_of_plain_passes(family: str) -> None:
    model = tiny_model(family)
    paths = some_paths(model, family)
    moments = input_moments(model, ITEMS, paths, 64)
    rows: dict[str, list[torch.Tensor]] = {path: [] for path in paths}
    for path in paths:
        module = model.get_submodule(path)
        handle = module.register_forward_pre_hook(lambda _, inputs, path=path: rows[path].append(inputs[0][0]))
        with torch.no_grad():
            for item in ITEMS:
                model(torch.tensor([[*item.prompt, *item.targets[0][:-1]]]))
        handle.remove()
    for path in paths:
        inputs, later = torch.cat(rows[path]), torch.cat([text[1:] for text in rows[path]])
        torch.testing.assert_close(moments[path].every, inputs.T @ inputs / len(later), atol=1e-5, rtol=1e-4)
        assert moments[path].scale == pytest.approx(float(later.square().mean()), rel=1e-4)


def test_the_basis_whitens(family: str) -> None:
    model = tiny_model(family)
    path = some_paths(model, family)[0]
    moment = input_moments(model, ITEMS, [path], 64)[path]
    basis = whitening({path: moment}, 1e-2)[path]
    scaled = moment.every / moment.scale + 1e-2 * torch.eye(len(moment.every))
    torch.testing.assert_close(basis @ scaled @ basis.T, torch.eye(len(basis)), atol=1e-3, rtol=0)


def test_an_adapter_of_some_blocks_touches_no_other(family: str) -> None:
    model = tiny_model(family)
    every = target_modules(model, Lora(r=1, alpha=1.0, targets=TARGETS[family]))
    second = target_modules(model, Lora(r=1, alpha=1.0, targets=TARGETS[family], layers=[1, 1]))
    assert set(second) == {path for path in every if ".1." in path}
    with pytest.raises(InputError, match=r"lora.layers: wanted blocks from 0 to \d+; found 1 to 99"):
        target_modules(model, Lora(r=1, alpha=1.0, targets=TARGETS[family], layers=[1, 99]))
