"""Progress in a log: a line every few seconds with the time left."""

import logging
import time

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
