"""What the model says before and after the edit: `errata ask`; here `python -m apps.ask "The capital of France is"`.

Continuations are greedy. With --chat the texts are questions to a chat model, each asked on its own in the tokenizer's
chat template. Without a text they are read from the terminal, line by line, until an empty line. An edit in context
needs --fact, since each of its texts belongs to one fact.
"""

import argparse
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from apps.speaking import CHAT_TOKENS, TOKENS, opened
from lib.core.run import run

WIDEST = 120
"""Columns of a terminal that are used, at most."""


def main() -> None:
    """Load the model once; print both continuations of every prompt."""
    options = _options()
    speaker = opened(str(options.model), options.edit, options.fact)
    for texts in [options.prompts] if options.prompts else _typed(_readline):
        answers = speaker.before_and_after(texts, options.tokens, in_chat=options.chat)
        for text, (before, after) in zip(texts, answers, strict=True):
            print(printed(text, before, after, shutil.get_terminal_size().columns))


def printed(prompt: str, before: str, after: str | None, width: int) -> str:
    """A prompt and what is written after it; in two columns where it was asked after an edit, too."""
    if after is None:
        return f"{prompt}\n{before.strip() or '(nothing)'}\n"
    return side_by_side(prompt, before, after, min(WIDEST, width))


def _typed(read_line: Callable[[], str]) -> Iterator[list[str]]:
    """The lines that the user types, one by one, until an empty one or the end of the input."""
    while text := read_line().strip():
        yield [text]


def _readline() -> str:
    if sys.stdin.isatty():
        print("> ", end="", flush=True)
    return sys.stdin.readline()


def side_by_side(prompt: str, before: str, after: str, width: int) -> str:
    """The prompt, and below it both continuations in two columns of `width` characters together."""
    column = (width - 2) // 2
    lines = [("before the edit", "after the edit"), ("-" * column, "-" * column)]
    lines += list(zip_longest(_wrapped(before, column), _wrapped(after, column), fillvalue=""))
    return "\n".join([prompt, *(f"{left:<{column}}  {right}".rstrip() for left, right in lines), ""])


def _wrapped(text: str, column: int) -> Sequence[str]:
    """Lines of at most `column` characters; a line break of the text stays one."""
    lines = [part for line in text.strip().splitlines() for part in textwrap.wrap(line, column) or [""]]
    return lines or ["(nothing)"]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", nargs="*", metavar="prompt", help="text to continue; without one: read them here")
    parser.add_argument("--chat", action="store_true", help="the texts are questions to a chat model")
    parser.add_argument("--model", type=Path, default=Path("models/base"), help="folder of stage base")
    parser.add_argument("--edit", type=Path, default=Path("models/edit"), help="folder of stage edit, or a checkpoint")
    parser.add_argument("--fact", "--request-id", help="id of the fact that is asked about, for an edit in context")
    parser.add_argument(
        "--tokens", type=int, help=f"length of a continuation (default: {TOKENS}, with --chat {CHAT_TOKENS})"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
