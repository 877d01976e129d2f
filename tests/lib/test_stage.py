"""What every stage shares: a user's mistake is a message."""

import pytest

from lib.stage import run


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
