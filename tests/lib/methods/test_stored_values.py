"""Values that were found survive a kill: the edit goes on behind them, with the same bytes."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lib.methods.context import Earlier
from lib.methods.locating import target_vectors
from lib.methods.training.loop import Checkpoints
from tests.helpers.baselines import REQUESTS, same
from tests.helpers.contract import Case, case_of

EDITORS = ["alphaedit", "betaedit", "emmet", "memit", "rome", "r_rome"]


def of_single_requests(case: Case, folder: Path) -> Case:
    """The case with searches of one request at a time, and checkpoints in `folder`."""
    optimisation = case.settings.optimisation.model_copy(update={"tokens": 1})
    return replace(
        case,
        settings=case.settings.model_copy(update={"optimisation": optimisation}),
        context=replace(case.context, checkpoints=Checkpoints(folder=folder, every=1000)),
    )


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each group of requests that was searched."""
    ended: list[int] = []
    search = target_vectors._optimised

    def counted(*inputs: Any) -> Any:
        values = search(*inputs)
        ended.append(len(values.loss))
        return values

    monkeypatch.setattr(target_vectors, "_optimised", counted)
    return ended


@pytest.mark.parametrize("name", EDITORS)
def test_after_a_kill_values_that_were_found_are_not_searched_again(
    name: str, tmp_path: Path, searches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = case_of(name, "llama", tmp_path / "shared")
    expected = of_single_requests(case, tmp_path / "whole").edit(REQUESTS)
    killed = of_single_requests(case, tmp_path / "killed")
    searches.clear()
    with monkeypatch.context() as within:
        search = target_vectors._optimised
        within.setattr(target_vectors, "_optimised", lambda *inputs: search(*inputs) if len(searches) < 2 else _stop())
        with pytest.raises(KeyboardInterrupt):
            killed.edit(REQUESTS)
    assert searches == [1, 1]
    edit = killed.edit(REQUESTS)
    assert searches == [1] * len(REQUESTS)
    assert same(edit, expected)
    assert edit.info == expected.info


def sharing(case: Case, folder: Path, editor: str, searched: list[dict[str, Any]]) -> Case:
    """The case by an editor with the same settings and space that runs share; `searched` takes what is searched."""

    @contextmanager
    def shared(module: str, search: Mapping[str, Any]) -> Iterator[Path]:
        searched.append(json.loads(json.dumps({"module": module, **search})))
        yield folder / str(searched.index(searched[-1]))

    by_other = case_of(editor, "llama", folder.parent / editor)
    values = {"layers": case.settings.layers, "token": case.settings.token, "optimisation": case.settings.optimisation}
    return replace(
        by_other,
        settings=by_other.settings.model_copy(update=values),
        context=replace(by_other.context, shared_scratch=shared, reused=[]),
    )


@pytest.mark.parametrize("method", ["alphaedit", "betaedit", "emmet"])
def test_what_memit_has_searched_another_method_takes(method: str, tmp_path: Path, searches: list[int]) -> None:
    searched: list[dict[str, Any]] = []
    memit = of_single_requests(case_of("memit", "llama", tmp_path / "case"), tmp_path / "run")
    first = sharing(memit, tmp_path / "shared", "memit", searched)
    alone, second = (sharing(memit, tmp_path / folder, method, searched_of)
                     for folder, searched_of in [("alone", []), ("shared", searched)])  # fmt: skip
    searches.clear()
    first.edit(REQUESTS)
    expected = alone.edit(REQUESTS)
    assert searches == [1] * 2 * len(REQUESTS)
    assert first.context.reused == []
    searches.clear()
    edit = second.edit(REQUESTS)
    assert searches == []
    assert len(second.context.reused) == len(REQUESTS)
    assert min(second.context.reused) > 0
    assert same(edit, expected)
    assert edit.info == expected.info


def test_other_settings_are_another_search_and_an_edited_model_has_its_own(tmp_path: Path, searches: list[int]) -> None:
    searched: list[dict[str, Any]] = []
    memit = of_single_requests(case_of("memit", "llama", tmp_path / "case"), tmp_path / "run")
    sharing(memit, tmp_path / "shared", "memit", searched).edit(REQUESTS)
    longer = memit.settings.optimisation.model_copy(update={"kl": 0.5})
    changed = replace(memit, settings=memit.settings.model_copy(update={"optimisation": longer}))
    sharing(changed, tmp_path / "shared", "memit", searched).edit(REQUESTS)
    assert searched[0] != searched[1]
    assert searched[0]["module"] == "lib.methods.locating.target_vectors"
    edited = sharing(memit, tmp_path / "shared", "memit", searched)
    earlier = replace(edited.context, earlier=Earlier(requests=REQUESTS[:1]))
    searches.clear()
    replace(edited, context=earlier).edit(REQUESTS)
    assert searches == [1] * len(REQUESTS)
    assert len(searched) == 2


def _stop() -> Any:
    raise KeyboardInterrupt


def test_a_damaged_file_of_values_is_passed_over(
    tmp_path: Path, searches: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    case = of_single_requests(case_of("memit", "llama", tmp_path / "shared"), tmp_path / "run")
    expected = case.edit(REQUESTS)
    stored = sorted((tmp_path / "run").rglob("*.safetensors"))
    assert len(stored) == len(REQUESTS)
    content = bytearray(stored[1].read_bytes())
    content[-1] ^= 1
    stored[1].write_bytes(content)
    searches.clear()
    assert same(case.edit(REQUESTS), expected)
    assert searches == [1]
    assert "passed over" in caplog.text
