"""What every stage shares: a user's mistake is a message; a stage ends with its parent."""

import signal
import subprocess
import sys

import pytest

from lib.core.run import run


@pytest.mark.parametrize("error", [ValueError, FileNotFoundError, FloatingPointError])
def test_a_mistake_of_the_user_is_a_message_and_exit_status_1(error: type[Exception]) -> None:
    def main() -> None:
        raise error("train.lr: wanted less")

    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == "error: train.lr: wanted less"


def test_a_mistake_of_ours_is_a_traceback() -> None:
    def main() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        run(main)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
@pytest.mark.parametrize("with_parent", [True, False])
def test_a_stage_ends_with_its_parent_and_what_is_left_running_does_not(with_parent: bool) -> None:
    ask = "import ctypes; found = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(found)); print(found.value)"
    text = f"from lib.core.run import run; run(lambda: exec({ask!r}), with_parent={with_parent})"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert int(done.stdout) == (signal.SIGTERM if with_parent else 0)
