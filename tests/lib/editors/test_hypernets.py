"""Editors mend and ke: networks that turn gradients into updates, beside what test_contract.py says of every editor."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lib.edits.apply import linear_weight
from lib.edits.updates import Dense, LowRank
from lib.methods.hypernets.network import (
    edit_apart,
    edit_together,
    edited_modules,
    load_hypernet,
    new_targets,
    signals_of,
)
from lib.methods.training.loop import Checkpoints
from lib.models.likelihood import token_nll
from lib.models.packing import Item, pack
from tests.helpers.baselines import REQUESTS, context
from tests.helpers.hypernets import NAMES, POOL, quick, trained
from tests.helpers.models import CONFIGS, byte_tokenizer, tiny_model
from tests.helpers.updates import dense


@pytest.mark.parametrize("name", NAMES)
def test_the_last_layers_are_edited_and_one_request_at_a_time_gives_the_same_updates(name: str, tmp_path: Path) -> None:
    model, tokenizer, editor = tiny_model("gpt2"), byte_tokenizer(), NAMES[name]
    own_context = replace(context(), hypernet=tmp_path)
    trained(name, model, tmp_path)
    edit = editor.edit(model, tokenizer, REQUESTS, quick(name), own_context)
    assert list(edit.updates) == edited_modules(model, 2)
    for request, single_edit in zip(
        REQUESTS, editor.edit_each(model, tokenizer, REQUESTS, quick(name), own_context), strict=True
    ):
        single = editor.edit(model, tokenizer, [request], quick(name), own_context)
        for path, update in single.updates.items():
            torch.testing.assert_close(single_edit.updates[path].dense(), update.dense(), rtol=1e-3, atol=1e-6)


def test_training_lowers_the_held_out_loss(tmp_path: Path) -> None:
    changed: dict[str, Any] = {
        "steps": 24,
        "batch_size": 4,
        "lr": 1e-2,
        "edit_weight": 1.0,
        "validation_steps": 8,
        "rate": 0.02,
    }
    assert trained("mend", tiny_model("llama"), tmp_path, **changed)["best_step"] > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_training_that_was_killed_goes_on_to_the_same_bytes(name: str, tmp_path: Path) -> None:
    model, editor = tiny_model("llama"), NAMES[name]
    how = quick(name, steps=5)

    def run(folder: str, checkpoint_folder: str, stop: int) -> None:
        def steps(all_steps: Iterable[int]) -> Iterator[int]:
            for step in all_steps:
                if step == stop:
                    raise KeyboardInterrupt
                yield step

        own_context = replace(
            context(), progress=steps, checkpoints=Checkpoints(folder=tmp_path / checkpoint_folder, every=2)
        )
        editor.train_hypernet(model, byte_tokenizer(), POOL, how, own_context, tmp_path / folder)

    run("whole", "kept-whole", stop=-1)
    with pytest.raises(KeyboardInterrupt):
        run("resumed", "kept", stop=4)
    assert (tmp_path / "kept/state.safetensors").is_file()
    run("resumed", "kept", stop=3)  # goes on at step 4
    for file in ("hypernet.safetensors", "hypernet.json"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "resumed" / file).read_bytes()


def test_training_ends_when_the_held_out_loss_stops_falling(tmp_path: Path) -> None:
    figures = trained("ke", tiny_model("llama"), tmp_path, steps=40, lr=1e-30, validation_steps=1, patience=3)
    assert figures["steps"] <= 4
    assert figures["best_step"] <= figures["steps"]


@pytest.mark.parametrize("family", CONFIGS)
def test_the_sum_of_outer_products_is_the_gradient_at_the_weight(family: str) -> None:
    model = tiny_model(family)
    items = [Item(prompt=(5, 9, 7), targets=((11, 12),)), Item(prompt=(6,), targets=((13,),))]
    paths = edited_modules(model, 9)
    signals = signals_of(model, items, paths, [0.5, 2.0])
    losses = token_nll(model.requires_grad_(True), pack(items))
    expected = (losses * torch.tensor([0.5, 0.5, 2.0])).sum()
    expected.backward()  # type: ignore[no-untyped-call]
    for path in paths:
        gradient = torch.einsum("bto,bti->oi", signals.gradients[path], signals.inputs[path])
        module = model.get_submodule(path)
        assert module.weight.grad is not None
        module.weight.data = module.weight.grad
        torch.testing.assert_close(gradient, linear_weight(module), rtol=1e-3, atol=1e-5)
    assert len(paths) == 4


@pytest.mark.parametrize("name", NAMES)
def test_many_requests_become_a_matrix_and_the_number_of_tokens_at_a_time_does_not_matter(name: str) -> None:
    model = tiny_model("gpt2")
    network = NAMES[name].new_network(model, quick(name))
    items = new_targets(byte_tokenizer(), REQUESTS * 2)
    network.train()(signals_of(model, items, network.paths, [1.0] * 6))
    network.eval()
    in_one_batch, in_batches = (edit_together(model, network, items, [1.0] * 6, tokens) for tokens in (10_000, 20))
    assert isinstance(
        in_one_batch.updates[network.paths[0]], Dense
    )  # 6 edits of more than 6 tokens, and matrices of rank 32
    apart = edit_apart(model, network, items, [1.0] * 6, 50)
    assert all(isinstance(update, LowRank) for edit in apart for update in edit.updates.values())
    for path, update in in_one_batch.updates.items():
        torch.testing.assert_close(dense(update), dense(in_batches.updates[path]), rtol=1e-3, atol=1e-5)
        total = sum((dense(single.updates[path]) for single in apart), start=torch.zeros(()))
        torch.testing.assert_close(dense(update), total, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_without_its_network_an_editor_says_how_to_train_it(name: str, tmp_path: Path) -> None:
    model, tokenizer = tiny_model("gpt2"), byte_tokenizer()
    for folder in (None, tmp_path / "absent"):
        with pytest.raises(FileNotFoundError, match="dvc repro hypernet"):
            NAMES[name].edit(model, tokenizer, REQUESTS, quick(name), replace(context(), hypernet=folder))
    trained(name, model, tmp_path)
    with pytest.raises(ValueError, match="trained for the modules"):
        load_hypernet(tmp_path, name, NAMES[name].new_network(model, quick(name, layers=1)))
    with pytest.raises(ValueError, match="wanted shape"):
        load_hypernet(tmp_path, name, NAMES[name].new_network(model, quick(name, hidden=2)))
    with pytest.raises(FileNotFoundError, match=f"found that of {name}"):
        load_hypernet(tmp_path, "other", NAMES[name].new_network(model, quick(name)))
