"""What every editor promises, on every family of models: the folder lib/editors is the list of editors.

A new editor is held to it with its preset for the tiny model; where that is too slow or too deep for models of two
layers it has an entry in tests/helpers/contract.py. Four editors read "the target is likelier" in their own way.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lib.core import params
from lib.editors import names
from lib.edits.apply import applied
from lib.edits.contexts import Contexts
from lib.edits.edit import Edit
from lib.edits.store import load_edit, save_edit
from lib.edits.updates import tensors_of
from lib.methods.contract import edits_each
from tests.helpers.baselines import REQUESTS, nll, nothing_left_behind, same
from tests.helpers.contract import FAMILIES, Case, case_of, stranger

IDS = torch.tensor([[5, 6, 7, 8, 9, 10]])
PRESET = params.preset("models", "tiny", params.Model)
UNEDITED = Edit(updates={})


@pytest.fixture(
    params=["gpt2", *(pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES if name != "gpt2")],
    scope="module",
)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=names(), scope="module")
def case(family: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return case_of(request.param, family, tmp_path_factory.mktemp(f"{request.param}-{family}"))


def test_the_target_is_likelier_after_an_edit(case: Case) -> None:
    for request in REQUESTS:
        edit = case.edit([request])
        before, after = (
            nll(case.model, case.tokenizer, edit_in_force, [request])[0] for edit_in_force in (UNEDITED, edit)
        )
        if case.name == "none":
            assert torch.equal(before, after)
        elif case.name == "ike":  # a random model copies nothing: the new fact stands right before the prompt
            assert request.target_new in edit.contexts[request.request_id].splitlines()[-2]
            assert not torch.equal(before, after)
        elif case.name == "rag":  # likewise
            text = Contexts.of(edit, "cpu")(request.request_id, request.prompt)
            assert text == f"New Fact: {request.prompt} {request.target_new}\nPrompt: "
            assert not torch.equal(before, after)
        elif case.name == "kn":  # whether a neuron fires positively, and so helps, is chance in a random model
            assert edit.updates
            assert not torch.equal(before, after)
        else:
            assert after[0] < before[0]


def test_nothing_is_left_behind_also_where_an_edit_fails_on_its_way(case: Case) -> None:
    next(case.model.parameters()).requires_grad_(True)
    with nothing_left_behind(case.model):
        case.edit(REQUESTS)
    for calls in (1, 3):
        with nothing_left_behind(case.model), case.failing_after(calls) as failed:
            try:
                case.edit(REQUESTS)
            except KeyboardInterrupt:
                assert failed
            else:
                assert not failed


def test_the_same_seed_gives_the_same_bytes(case: Case, tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)  # nothing depends on the process's own random state
        repeated = case.edit(REQUESTS)
    assert same(case.edit_of_all, repeated)
    files = []
    for name, edit in (("made", case.edit_of_all), ("again", repeated)):
        save_edit(edit, tmp_path / name, case.model, case.preset(PRESET))
        files.append({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()})
    assert files[0] == files[1]


def test_an_edit_comes_back_from_disk_as_it_was(case: Case, tmp_path: Path) -> None:
    save_edit(case.edit_of_all, tmp_path, case.model, case.preset(PRESET))
    loaded = load_edit(tmp_path)
    expected = nll(case.model, case.tokenizer, case.edit_of_all, REQUESTS)
    assert torch.equal(nll(case.model, case.tokenizer, loaded, REQUESTS), expected)
    assert loaded.contexts == case.edit_of_all.contexts
    assert loaded.notes == case.edit_of_all.notes
    assert {*loaded.memories} == {*case.edit_of_all.memories}
    assert loaded.info["editor"] == case.name
    assert {*loaded.state} == {*case.edit_of_all.state}


def test_undo_is_exact(case: Case) -> None:
    before = case.model(IDS).logits
    with nothing_left_behind(case.model), applied(case.model, case.edit_of_all):
        edited = case.model(IDS).logits
    assert torch.equal(case.model(IDS).logits, before)
    assert torch.equal(edited, before) == (not case.edit_of_all.updates)


def test_what_is_not_finite_is_refused(case: Case, tmp_path: Path) -> None:
    for path, update in case.edit_of_all.updates.items():
        broken = {name: tensor.clone() for name, tensor in tensors_of(update).items()}
        next(tensor for tensor in broken.values() if tensor.is_floating_point())[-1] = torch.inf
        edit = replace(case.edit_of_all, updates={**case.edit_of_all.updates, path: type(update)(**broken)})
        with nothing_left_behind(case.model), pytest.raises(ValueError, match="not finite"), applied(case.model, edit):
            pass
        with pytest.raises(ValueError, match="not finite"):
            save_edit(edit, tmp_path / "edit", case.model, case.preset(PRESET))
        assert not (tmp_path / "edit").exists()
    for path, memory in case.edit_of_all.memories.items():
        edit = replace(case.edit_of_all, memories={path: replace(memory, values=memory.values * torch.inf)})
        with nothing_left_behind(case.model), pytest.raises(ValueError, match="not finite"), applied(case.model, edit):
            pass
        with pytest.raises(ValueError, match="not finite"):
            save_edit(edit, tmp_path / "edit", case.model, case.preset(PRESET))
    with case.destroyed():  # the editor itself refuses, or what stores its edit does
        if case.edit_of_all.updates or case.edit_of_all.memories:
            with pytest.raises((FloatingPointError, ValueError), match=r"nan|not finite"):
                save_edit(case.edit(REQUESTS), tmp_path / "edit", case.model, case.preset(PRESET))
            assert not (tmp_path / "edit").exists()
        else:
            assert not case.edit(REQUESTS).updates


def test_edits_made_together_are_the_edits_made_alone(case: Case) -> None:
    if not edits_each(case.editor):  # then lib.protocols.single makes them one after another
        return
    with nothing_left_behind(case.model):
        together = case.editor.edit_each(case.model, case.tokenizer, REQUESTS, case.settings, case.context)
    for request, shared in zip(REQUESTS, together, strict=True):
        alone = case.edit([request])
        expected, values = (nll(case.model, case.tokenizer, edit, [request]) for edit in (alone, shared))
        torch.testing.assert_close(values, expected, atol=2e-3, rtol=1e-3)
        assert (shared.contexts, shared.notes) == (alone.contexts, alone.notes)
        assert {*shared.updates} == {*alone.updates}
        assert {*shared.memories} == {*alone.memories}


@pytest.mark.parametrize("name", names())
def test_an_editor_edits_a_model_of_another_family_or_says_which_modules_it_lacks(name: str, tmp_path: Path) -> None:
    case = case_of(name, "llama", tmp_path)
    strange_case = replace(case, model=stranger())
    message = ""
    with nothing_left_behind(strange_case.model):
        try:
            edit = strange_case.edit(REQUESTS[:1])
        except ValueError as error:
            message = str(error)
    if message:
        assert "which it lacks" in message or "has no linear module" in message
        assert "down_proj" in message
    else:
        assert nll(strange_case.model, strange_case.tokenizer, edit, REQUESTS[:1]).isfinite().all()
