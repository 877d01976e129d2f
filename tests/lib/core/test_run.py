"""What every stage shares: a user's mistake is a message; a stage ends with its parent."""

import argparse
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.core.errors import InputError, NotFiniteError
from lib.core.run import run, run_stage


def message_of(error: BaseException) -> object:
    """What `run` ends with where the main function raises `error`."""

    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        run(main)
    return ended.value.code


@pytest.fixture
def _heeded() -> Iterator[None]:
    """Ctrl-C is heeded, as on a terminal; a process that a shell starts in the background ignores it."""
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, earlier)


@pytest.mark.parametrize("kind", [InputError, NotFiniteError, FileNotFoundError, ConnectionError])
def test_a_mistake_of_the_user_is_a_message_and_exit_status_1(kind: type[Exception]) -> None:
    assert message_of(kind("train.lr: wanted less")) == "error: train.lr: wanted less"


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "the disk is full; free some space"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EACCES, "permission denied"),
        (errno.ENOENT, "no such file or folder"),
    ],
)
def test_what_the_operating_system_refuses_is_a_message_with_the_file_and_what_to_do(number: int, remedy: str) -> None:
    message = str(message_of(OSError(number, os.strerror(number), "models/edit/adapter_model.safetensors")))
    assert message.startswith("error: models/edit/adapter_model.safetensors: ")
    assert remedy in message


def test_an_interrupted_run_says_so_in_a_line_with_the_status_that_shells_give(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert message_of(KeyboardInterrupt()) == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.usefixtures("_heeded")
@pytest.mark.skipif(sys.platform == "win32", reason="a thread is sent no signal there")
def test_an_interrupt_while_an_object_is_destroyed_ends_the_run_all_the_same() -> None:
    """The fault: Ctrl-C while the pattern of a tokenizer was torn down was reported and dropped; the stage went on."""

    class Torn:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def main() -> None:
        torn = Torn()
        del torn
        time.sleep(20)

    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == 130


@pytest.mark.usefixtures("_heeded")
def test_an_interrupt_while_the_last_object_is_destroyed_ends_the_run_and_no_traceback_follows() -> None:
    """The fault: the run was over when the interrupt came once more, and nothing caught it."""

    class Torn:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def main() -> None:
        torn = Torn()
        del torn

    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == 130


def test_an_interrupt_while_a_stage_reads_its_options_or_writes_what_it_used_is_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The fault: only the stage's own work was within what heeds an interrupt."""
    monkeypatch.setattr("sys.argv", ["stage", "--usage", str(tmp_path / "usage.json")])
    for name in ("lib.core.run.write_json", "argparse.ArgumentParser.parse_args"):
        with monkeypatch.context() as interrupted, pytest.raises(SystemExit) as ended:
            interrupted.setattr(name, _interrupt)
            run_stage(lambda _: None, argparse.ArgumentParser())
        assert ended.value.code == 130
        assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize("fails", [False, True])
def test_an_interrupt_while_packages_are_torn_down_says_nothing_and_leaves_the_status(fails: bool) -> None:
    """The fault: Ctrl-C in the last instants printed the traceback of another package's exit function."""
    text = (
        "import atexit, signal\n"
        "from lib.core.errors import InputError\n"
        "from lib.core.run import run\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def main():\n"
        "    atexit.register(signal.raise_signal, signal.SIGINT)\n"
        f"    if {fails}: raise InputError('train.lr: wanted less')\n"
        "run(main)\n"
    )
    ended = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (int(fails), "")
    assert ended.stderr == ("error: train.lr: wanted less\n" if fails else "")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("error", [KeyError("x"), ValueError("x"), RuntimeError("x"), OSError("x"), TypeError("x")])
def test_a_mistake_of_ours_keeps_its_traceback(error: Exception) -> None:
    def main() -> None:
        raise error

    with pytest.raises(type(error)):
        run(main)


def test_lists_of_different_lengths_are_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="longer"):
        run(lambda: print(list(zip([1], [1, 2], strict=True))))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
@pytest.mark.parametrize("with_parent", [True, False])
def test_a_stage_ends_with_its_parent_and_what_is_left_running_does_not(with_parent: bool) -> None:
    ask = "import ctypes; found = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(found)); print(found.value)"
    text = f"from lib.core.run import run; run(lambda: exec({ask!r}), with_parent={with_parent})"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert int(done.stdout) == (signal.SIGTERM if with_parent else 0)
