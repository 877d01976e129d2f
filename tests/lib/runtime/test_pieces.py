"""Measured values by index: found again after a kill, measured again where their file is damaged."""

import math
from pathlib import Path

import pytest

from lib.runtime import pieces
from lib.runtime.distributed import Distributed
from lib.runtime.pieces import Pieces

NAME = "scores after"


def stored(folder: Path | None) -> dict[int, object]:
    with Pieces.of(folder, NAME, Distributed()) as pieces_of_run:
        return dict(pieces_of_run.values)


def test_what_was_measured_before_an_error_is_found_again(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Pieces.of(tmp_path, NAME, Distributed()) as measured:
        measured.add([(3, [0.1, math.inf, (7, 8)]), (0, None)])
        raise KeyboardInterrupt
    assert stored(tmp_path) == {0: None, 3: [0.1, math.inf, [7, 8]]}


def test_a_killed_process_loses_the_last_minute_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = Pieces(tmp_path / "scores-after")
    monkeypatch.setattr(pieces, "_SECONDS_BETWEEN_SAVES", 0)
    measured.add([(0, 1.5)])
    monkeypatch.setattr(pieces, "_SECONDS_BETWEEN_SAVES", 60)
    measured.add([(1, 2.5)])  # and is killed: nothing more is written
    assert stored(tmp_path) == {0: 1.5}


def test_each_work_has_its_own(tmp_path: Path) -> None:
    with Pieces.of(tmp_path, "divergence", Distributed()) as measured:
        measured.add([(0, 1.5)])
    assert stored(tmp_path) == {}


def test_a_damaged_file_is_passed_over_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for index in range(2):
        with Pieces.of(tmp_path, NAME, Distributed()) as measured:
            measured.add([(index, index)])
    (damaged, sound) = sorted((tmp_path / "scores-after").iterdir())
    (damaged / "values.json").write_text('{"0": 5, "1": 5}')
    values = stored(tmp_path)
    assert values in ({0: 0}, {1: 1})
    assert str(damaged) in caplog.text
    assert str(sound) not in caplog.text


def test_without_a_folder_nothing_is_written() -> None:
    with Pieces.of(None, NAME, Distributed()) as measured:
        measured.add([(0, 1)])
        assert measured.values == {0: 1}
    assert stored(None) == {}
