"""Editor ke: its condition and its gates."""

import torch

from lib.editors import ke
from lib.edits.apply import own_orientation
from lib.methods.hypernets.network import signals_of
from lib.models.packing import Item
from tests.helpers.hypernets import quick
from tests.helpers.models import tiny_model

SHORT = Item(prompt=(6,), targets=((13,),))
LONG = Item(prompt=(5, 9, 7), targets=((11, 12),))


def test_the_condition_of_an_edit_does_not_depend_on_longer_edits_beside_it() -> None:
    network = ke.new_network(tiny_model("gpt2"), quick("ke", hidden=8))
    two_conditions, alone = network.condition([SHORT, LONG]), network.condition([SHORT])
    torch.testing.assert_close(two_conditions[:1], alone)
    swapped = Item(prompt=(13,), targets=((6,),))
    assert not torch.allclose(alone, network.condition([swapped]))


def test_an_update_is_the_gated_gradient_along_the_weights_own_axes() -> None:
    for family in ("gpt2", "llama"):  # a weight stored [d_in, d_out], and one stored [d_out, d_in]
        model = tiny_model(family)
        network = ke.new_network(model, quick("ke", hidden=8, max_scale=3.0))
        signals = signals_of(model, [SHORT, LONG], network.paths, [1.0, 1.0])
        updates, condition = network(signals), network.condition([SHORT, LONG])
        for gate, path in zip(network.gates, network.paths, strict=True):
            assert isinstance(gate, ke._Gate)
            module = model.get_submodule(path)
            for row in range(2):
                gates = gate.second(gate.first(condition[row]).tanh())
                b, a, d, c, share = gates.split(gate.sizes)
                gradient = own_orientation(module, signals.gradients[path][row].T @ signals.inputs[path][row])
                factor, rest = torch.outer(a.softmax(0), b), torch.outer(c.softmax(0), d)
                expected = 3.0 * share.sigmoid() * (gradient * factor + rest)
                change = own_orientation(module, updates[path].left[row] @ updates[path].right[row])
                torch.testing.assert_close(change, expected, rtol=1e-4, atol=1e-6)


def test_every_parameter_of_the_network_learns() -> None:
    model = tiny_model("gpt2")
    network = ke.new_network(model, quick("ke", hidden=8))
    updates = network(signals_of(model, [SHORT, LONG], network.paths, [1.0, 1.0]))
    sum(update.left.pow(2).sum() + update.right.pow(3).sum() for update in updates.values()).backward()
    assert [
        name for name, parameter in network.named_parameters() if parameter.grad is None or not parameter.grad.any()
    ] == []
    assert network.condition.embedding.weight.data_ptr() != model.get_input_embeddings().weight.data_ptr()
