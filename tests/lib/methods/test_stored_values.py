"""Values that were found survive a kill: the edit goes on behind them, with the same bytes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

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
