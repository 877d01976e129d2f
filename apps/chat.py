"""A conversation with a model before and after its edit, side by side: `errata chat`."""

import sys
from collections.abc import Callable

from rich.console import Console

from apps.ask import WIDEST, side_by_side
from apps.speaking import CHAT_TOKENS, Speaker
from lib.generation.engine import greedy
from lib.models.templates import Turn

NEW = "/new"
"""What the user types to begin anew."""


def chat(
    speaker: Speaker, console: Console, read_line: Callable[[], str] | None = None, tokens: int = CHAT_TOKENS
) -> int:
    """Answer every line, each side after its own earlier answers, until an empty one; the number of answers.

    Raises InputError where the model has no chat template.
    """
    speaker.check_template()
    console.print(f"{speaker.name}. An empty line ends, {NEW} begins anew.", markup=False, highlight=False)
    before: list[Turn] = []
    after: list[Turn] = []
    count = 0
    while text := (read_line or _typed)().strip():
        if text == NEW:
            before, after = [], []
            continue
        (old,) = speaker.texts([text], greedy(tokens), edited=False, turns=before)
        before.append((text, old))
        columns = old.strip() or "(nothing)"
        if speaker.edit is not None:
            (new,) = speaker.texts([text], greedy(tokens), edited=True, turns=after)
            after.append((text, new))
            columns = side_by_side(text, old, new, min(WIDEST, console.width)).partition("\n")[2]
        console.print(columns, markup=False, highlight=False, soft_wrap=True)
        count += 1
    return count


def _typed() -> str:
    if sys.stdin.isatty():
        print("> ", end="", flush=True)
    return sys.stdin.readline()
