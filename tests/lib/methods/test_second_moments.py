"""Second moments are summed where the model is, stored now and then, and derived from once."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lib.editors import alphaedit
from lib.methods.locating import layered
from lib.methods.locating import second_moments as moments_module
from lib.methods.locating.second_moments import SecondMoment, load_moment, save_moment, second_moments
from lib.models.architecture import architecture
from tests.helpers.baselines import REQUESTS, context, settings
from tests.helpers.contract import QUICK
from tests.helpers.models import byte_tokenizer, tiny_model
from tests.helpers.updates import dense

TEXTS = [f"Text number {number} is about {'many things and ' * (number % 5)}rain." for number in range(150)]


def gathered(folder: Path, parts: int = 10**6) -> dict[str, SecondMoment]:
    """Second moments of a tiny model's first layer; interrupted before part number `parts`."""
    model = tiny_model("gpt2")

    def progress(steps: Iterable[int]) -> Iterator[int]:
        for step in steps:
            if step == parts:
                raise KeyboardInterrupt
            yield step

    paths = [architecture(model).mlp_out_of(layer) for layer in (0, 1)]
    return second_moments(model, byte_tokenizer(), TEXTS, paths, 1024, folder, progress)


def test_a_run_that_was_killed_goes_on_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = gathered(tmp_path / "straight")
    assert not (tmp_path / "straight").exists()  # sums are large: nothing is written in a run of seconds
    monkeypatch.setattr(moments_module, "_SECONDS_BETWEEN_SAVES", 0)
    with pytest.raises(KeyboardInterrupt):
        gathered(tmp_path / "resumed", parts=2)
    resumed = gathered(tmp_path / "resumed")
    for path, moment in straight.items():
        assert torch.equal(resumed[path].moment, moment.moment)
        assert resumed[path].count == moment.count == sum(map(len, TEXTS))


def test_a_moment_is_the_mean_of_the_products_of_keys(tmp_path: Path) -> None:
    model = tiny_model("gpt2")
    path = architecture(model).mlp_out_of(1)
    keys: list[torch.Tensor] = []
    model.get_submodule(path).register_forward_pre_hook(lambda module, inputs: keys.append(inputs[0][0]))
    for text in TEXTS:
        model(torch.tensor([byte_tokenizer()(text).input_ids]))
    products = torch.cat(keys).double()
    moment = gathered(tmp_path)[path].moment.double()
    torch.testing.assert_close(moment, products.T @ products / len(products), atol=1e-6, rtol=1e-5)


def test_alphaedit_reads_the_projection_that_was_derived_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    values = settings(alphaedit, "alphaedit", **QUICK["alphaedit"] | {"threshold": 1e-3})
    own_context = replace(context(), statistics=tmp_path)
    paths = [architecture(model).mlp_out_of(layer) for layer in (0, 1)]
    moments = second_moments(model, tokenizer, TEXTS, paths, 1024, tmp_path, lambda parts: parts)
    for path, moment in moments.items():
        save_moment(tmp_path, path, moment)
    computed = alphaedit.edit(model, tokenizer, REQUESTS, values, own_context)
    assert alphaedit.NEEDS.derived
    for path, moment in moments.items():
        save_moment(tmp_path, path, replace(moment, derived=alphaedit.derive(moment.moment, values)))
        assert torch.equal(load_moment(tmp_path, path).moment, moment.moment)
    monkeypatch.setattr(layered, "null_space", None)
    stored = alphaedit.edit(model, tokenizer, REQUESTS, values, own_context)
    for path in paths:
        own, expected = dense(stored.updates[path]), dense(computed.updates[path])
        torch.testing.assert_close(own, expected, atol=1e-4, rtol=1e-3)
