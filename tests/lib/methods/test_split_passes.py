"""Value searches compute what a shift can change only, and find what whole passes find."""

import logging
from collections.abc import Iterable
from typing import Any

import pytest
import torch

from lib.core.records import Request
from lib.methods.locating import search_passes, target_vectors
from lib.methods.locating.optimisation import Optimisation
from lib.methods.locating.places import Token, place, states
from lib.methods.locating.search_rows import search_rows
from lib.methods.locating.target_vectors import target_values
from lib.methods.locating.values import Values
from lib.models.architecture import architecture
from tests.helpers.models import CONFIGS, byte_tokenizer, tiny_model

REQUESTS = [
    Request(
        request_id=name, dataset="own", subject=name, relation="home", prompt=f"{before}{name} is",
        target_new=new, target_true=None, template=None,
    )
    for name, new, before in (("Ada", "Rome", ""), ("Benedict", "Oslo or so", "So "), ("Cy", "Po", ""))
]  # fmt: skip
CONTEXTS = ["{}", "It is late. {}", "Yes. {}"]
SETTINGS = Optimisation(steps=6, lr=0.3, weight_decay=0.01, kl=0.0625, clamp=5.0, stop=0.05, tokens=4096)


def search(
    model: Any, path: str, requests: list[Request] = REQUESTS, token: Token = "subject_last", **settings: Any
) -> Values:
    """Values of the requests, shifted at `path`."""
    return target_values(model, byte_tokenizer(), requests, path, token, CONTEXTS, SETTINGS.model_copy(update=settings))


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("family", CONFIGS)
def test_split_passes_find_what_whole_passes_find(
    family: str, layer: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = tiny_model(family)
    caplog.clear()  # a library may warn of the model's config
    arch = architecture(model)
    # In the last layer a shift changes what its own token predicts, and nothing else.
    token: Token = "prompt_last" if layer else "subject_last"
    path = arch.mlp_of(1) if layer else arch.block(0)
    split = search(model, path, token=token)
    assert any(min(trace) < trace[0] - 1e-3 for trace in split.loss)
    assert not caplog.records
    monkeypatch.setattr(search_passes, "cannot_split", lambda model: "not in this test")
    with caplog.at_level(logging.WARNING):
        expected = search(model, path, token=token)
    assert "not in this test" in caplog.text
    assert type(model).__name__ in caplog.text
    torch.testing.assert_close(split.initial, expected.initial, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(split.target, expected.target, atol=1e-5, rtol=1e-5)
    assert split.loss == [pytest.approx(trace, abs=1e-5) for trace in expected.loss]


def test_a_pass_holds_the_tokens_from_the_shift_on_and_starts_at_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("llama")
    arch = architecture(model)
    tokens: dict[int, list[int]] = {0: [], 1: []}
    for layer, sizes in tokens.items():
        model.get_submodule(arch.mlp_of(layer)).register_forward_hook(
            lambda module, inputs, output, sizes=sizes: sizes.append(output.shape[0] * output.shape[1])
        )
    search(model, arch.mlp_of(1), REQUESTS[:1])
    rows, longest = 4, len("It is late. Ada is Rome") - 1
    from_shift = len("a is Rome") - 1
    assert tokens[0] == [rows * longest]
    assert tokens[1] == [rows * longest, *[rows * from_shift] * SETTINGS.steps]


def test_a_request_that_has_stopped_takes_no_further_passes() -> None:
    model = tiny_model("gpt2")
    path = architecture(model).mlp_of(0)
    sizes: list[int] = []
    first = search(model, path, steps=1).loss
    stop = sorted(trace[0] for trace in first)[1]  # the lowest of three stops at once
    model.get_submodule(path).register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    together = search(model, path, stop=stop)
    assert sizes[1] == 12
    assert sizes[2:]
    assert max(sizes[2:]) == 8
    alone = [search(model, path, [request], stop=stop) for request in REQUESTS]
    for index, own in enumerate(alone):
        torch.testing.assert_close(together.target[index], own.target[0], atol=1e-4, rtol=1e-4)
        assert together.loss[index] == pytest.approx(own.loss[0], abs=1e-4)


def test_a_model_whose_split_passes_differ_gets_whole_ones(caplog: pytest.LogCaptureFixture) -> None:
    model = tiny_model("llama")
    path = architecture(model).mlp_of(0)
    expected = search(model, path)
    decoder = model.base_model
    forward = decoder.forward

    def without_past(
        input_ids: Any, attention_mask: Any = None, position_ids: Any = None, past_key_values: Any = None, **named: Any
    ) -> Any:
        """A decoder that loses what was before where it gets a cache and fewer tokens."""
        if position_ids is not None and position_ids.min() > 0:
            position_ids = position_ids * 0
        return forward(
            input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids,
            past_key_values=past_key_values, **named,
        )  # fmt: skip

    decoder.forward = without_past
    values = search(model, path)
    assert "split pass differ" in caplog.text
    torch.testing.assert_close(values.target, expected.target, atol=1e-5, rtol=1e-5)


def test_states_are_those_of_the_prompt_without_its_target() -> None:
    model, tokenizer = tiny_model("neox"), byte_tokenizer()
    arch = architecture(model)
    part: Any = (arch.mlp_out_of(1), "input")
    values = target_values(model, tokenizer, REQUESTS, arch.mlp_of(1), "subject_last", CONTEXTS, SETTINGS, [part])
    locations = [place(tokenizer, request, "subject_last", context) for request in REQUESTS for context in CONTEXTS]
    torch.testing.assert_close(values.states[part], states(model, locations, [part], 4096)[part])


def test_the_model_is_as_before_where_a_pass_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("gpt2")
    arch = architecture(model)

    def broken(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(target_vectors, "_log_likelihood", broken)
    with pytest.raises(KeyboardInterrupt):
        search(model, arch.mlp_of(1))
    blocks = [model.get_submodule(arch.block(layer)) for layer in range(2)]
    assert not any("forward" in vars(block) or block._forward_hooks for block in blocks)


def test_requests_with_as_many_tokens_from_the_shift_on_share_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are padded to the longest of their group: in the requests' order CounterFact's were half padding."""
    groups: list[set[int]] = []

    def recorded(tokenizer: Any, requests: Any, *placing: Any) -> Any:
        rows = search_rows(tokenizer, requests, *placing)
        if len(rows.kl_row) > 1:
            groups.append({int(tail) for tail in (rows.length - rows.position) if tail > 1})
        return rows

    monkeypatch.setattr(target_vectors, "search_rows", recorded)
    model = tiny_model("neox")
    arch = architecture(model)
    part: Any = (arch.mlp_out_of(1), "input")
    mixed = [REQUESTS[number] for number in (1, 2, 0)]  # tails of 14, 6 and 8 tokens
    settings = SETTINGS.model_copy(update={"tokens": 256})  # two requests a group
    values = target_values(model, byte_tokenizer(), mixed, arch.block(0), "subject_last", CONTEXTS, settings, [part])
    assert groups == [{6, 8}]
    alone = [
        target_values(model, byte_tokenizer(), [request], arch.block(0), "subject_last", CONTEXTS, settings, [part])
        for request in mixed
    ]
    expected = Values.joined(alone, [part])
    torch.testing.assert_close(values.target, expected.target, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(values.states[part], expected.states[part], atol=1e-5, rtol=1e-5)
    assert values.loss == [pytest.approx(trace, abs=1e-5) for trace in expected.loss]


def test_the_search_tells_of_every_group_of_requests_that_share_passes() -> None:
    counted: list[tuple[str, int]] = []

    def show(items: Iterable[Any], name: str, total: int | None) -> Iterable[Any]:
        for number, item in enumerate(items, 1):
            yield item
            counted.append((name, number))

    model, settings = tiny_model("llama"), SETTINGS.model_copy(update={"tokens": 1})
    path = architecture(model).mlp_of(1)
    values = target_values(model, byte_tokenizer(), REQUESTS, path, "subject_last", CONTEXTS, settings, show=show)
    assert [number for _, number in counted] == [*range(1, len(REQUESTS) + 1)]
    assert {name for name, _ in counted} == {"groups of target vectors"}
    assert len(values.shift) == len(REQUESTS)
