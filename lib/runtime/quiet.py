"""Libraries that tell of what they load, between the lines of our own."""

import logging

from transformers.utils import logging as transformers_logging


class quiet_transformers:  # noqa: N801 - reads as the statement it is
    """Within it, transformers shows no bars of its own, and sentence-transformers warns only; restored on exit."""

    def __enter__(self) -> None:
        self._sentences = logging.getLogger("sentence_transformers")
        self._shown, self._level = transformers_logging.is_progress_bar_enabled(), self._sentences.level
        transformers_logging.disable_progress_bar()
        self._sentences.setLevel(logging.WARNING)

    def __exit__(self, *_: object) -> None:
        self._sentences.setLevel(self._level)
        if self._shown:
            transformers_logging.enable_progress_bar()
