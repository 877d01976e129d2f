"""Editor mend: its statistics, its beginning as the identity, its two modes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lib.editors import mend
from lib.edits.edit import Edit
from lib.methods.hypernets.moments import RunningMoments
from lib.methods.hypernets.network import signals_of
from lib.models.packing import Item
from tests.helpers.baselines import REQUESTS, context, same
from tests.helpers.hypernets import quick, trained
from tests.helpers.models import byte_tokenizer, tiny_model

ITEMS = [Item(prompt=(5, 9, 7), targets=((11, 12),)), Item(prompt=(6, 8), targets=((13,),))]


def test_running_statistics_are_those_of_all_vectors_at_once() -> None:
    rows = torch.randn(50, 6, generator=torch.Generator().manual_seed(0)) * 3 + 1
    moments = RunningMoments(6)
    for part in rows.split([1, 20, 29]):  # type: ignore[no-untyped-call]
        moments.add(part)
    moments.add(rows[:0])
    expected = (rows - rows.mean(0)) / rows.std(0)
    torch.testing.assert_close(moments.normalised(rows), expected, rtol=1e-4, atol=1e-5)
    assert moments.count == 50


def test_a_network_that_was_never_trained_has_no_statistics() -> None:
    model = tiny_model("gpt2")
    network = mend.new_network(model, quick("mend")).eval()
    with pytest.raises(ValueError, match="dvc repro hypernet"):
        network(signals_of(model, ITEMS, network.paths, [1.0, 1.0]))


def test_at_the_start_an_update_goes_down_the_normalised_gradient_of_the_tokens_that_it_reaches() -> None:
    model = tiny_model("llama")
    network = mend.new_network(model, quick("mend", rate=0.5))
    signals = signals_of(model, ITEMS, network.paths, [1.0, 1.0])
    updates = network(signals)  # in training mode: the statistics are these tokens'
    last = network.paths[-1]
    assert [int((update != 0).any(0).sum()) for update in updates[last].left] == [2, 1]
    reached = (signals.gradients[last] != 0).any(-1)
    moments = network.editors[network.shapes[last]]
    assert isinstance(moments, mend._Shared)
    expected = -0.5 * moments.gradients.normalised(signals.gradients[last][reached])
    torch.testing.assert_close(updates[last].left.mT[reached], expected)
    torch.testing.assert_close(
        updates[last].right[reached], moments.inputs.normalised(signals.inputs[last][reached])
    )  # fmt: skip


def test_every_parameter_of_the_network_learns() -> None:
    model = tiny_model("gpt2")
    network = mend.new_network(model, quick("mend"))
    updates = network(signals_of(model, ITEMS, network.paths, [1.0, 1.0]))
    sum(update.left.pow(2).sum() + update.right.pow(3).sum() for update in updates.values()).backward()
    moved = {
        name for name, parameter in network.named_parameters() if parameter.grad is not None and parameter.grad.any()
    }
    assert moved == {name for name, _ in network.named_parameters() if not name.endswith((".v", ".scale"))}


def test_as_published_the_edits_own_tokens_are_the_statistics(tmp_path: Path) -> None:
    model, tokenizer = tiny_model("gptj"), byte_tokenizer()
    trained("mend", model, tmp_path)
    own_context = replace(context(), hypernet=tmp_path)
    how = quick("mend", mode="published")
    corrected = mend.edit(model, tokenizer, REQUESTS[:1], quick("mend"), own_context)
    published = mend.edit(model, tokenizer, REQUESTS[:1], how, own_context)
    assert isinstance(published, Edit)
    assert not same(published, corrected, tolerance=0.1)
    assert same(published, mend.edit_each(model, tokenizer, REQUESTS, how, own_context)[0])
