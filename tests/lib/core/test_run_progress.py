"""Progress in a log: a line every few seconds with the time left."""

import logging
import threading
import time
from collections.abc import Callable

import pytest

from lib.core import run


def test_a_log_gets_a_line_every_few_seconds_with_the_time_left_and_one_at_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    caplog.set_level(logging.INFO)
    for _ in run.progress(iter(range(10)), "texts", total=10):
        clock[0] += 2.0
    assert caplog.messages == ["texts: 3 of 10, 14 s left", "texts: 6 of 10, 8 s left", "texts: 9 of 10, 2 s left",
                               "texts: 10 of 10, 0 s left"]  # fmt: skip


def test_what_takes_no_time_has_no_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert list(run.progress(range(1000), "texts")) == list(range(1000))
    assert caplog.messages == []


def test_a_log_counts_what_items_hold_and_is_not_silent_while_one_of_them_takes_long(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(run, "_SECONDS_SILENT", 0.05)
    monkeypatch.setattr(run, "_SECONDS_A_LINE", 0.0)
    caplog.set_level(logging.INFO)
    work = run.progress([["a", "b", "c"], ["d"]], "texts", size=len)
    next(work)
    _wait_until(lambda: caplog.messages == ["texts: 0 of 4, 0 s so far"] * len(caplog.messages) != [])
    next(work)
    caplog.clear()
    _wait_until(lambda: any(message.startswith("texts: 3 of 4, ") for message in caplog.messages))
    assert next(work, None) is None
    assert caplog.messages[-1] == "texts: 4 of 4, 0 s left"
    assert "errata progress" not in {thread.name for thread in threading.enumerate()}


def test_the_time_left_falls_while_an_item_takes_long_and_rises_where_it_takes_longer_than_those_before(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock, waiting = [0.0], threading.Event()
    monkeypatch.setattr(run, "_SECONDS_SILENT", 0.05)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    caplog.set_level(logging.INFO)
    for batch in run.progress(range(3), "edit"):
        for seconds, line in [(15.0, "15 s left"), (19.0, "11 s left"), (25.0, "12 s left")] if batch == 1 else ():
            clock[0] = seconds
            for _ in range(500):
                if f"edit: 1 of 3, {line}" in caplog.messages:
                    break
                waiting.wait(0.02)
            assert f"edit: 1 of 3, {line}" in caplog.messages
        clock[0] = max(clock[0], 10.0)


def _wait_until(is_so: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20.0
    while not is_so():
        assert time.monotonic() < limit
        time.sleep(0.01)
