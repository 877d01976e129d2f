"""What the model says before and after the edit: `python -m apps.ask "The capital of France is"`.

Continuations are greedy. With --chat the texts are questions to a chat model, each asked on its own in the tokenizer's
chat template. Without a text they are read from the terminal, line by line, until an empty line. An edit in context
needs --request-id, since each of its texts belongs to one request.
"""

import argparse
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from lib.core.errors import InputError
from lib.core.run import run
from lib.edits.apply import applied
from lib.edits.contexts import Contexts
from lib.edits.edit import Edit
from lib.edits.store import load_edit, was_dropped
from lib.generation.engine import Prompt, greedy
from lib.generation.texts import TransformersGenerator
from lib.models import loading
from lib.models.templates import chat_prompt, has_template
from lib.runtime.machine import device

_WIDEST = 120
_TOKENS, _CHAT_TOKENS = 20, 60
"""Length of a continuation, and of an answer."""


def main() -> None:
    """Load the model once; print both continuations of every prompt."""
    options = _options()
    edit = load_edit(options.edit)
    context = _context(edit, options)
    notes = Contexts(notes=edit.notes, device=device().type)
    tokenizer = loading.load_tokenizer(options.model)
    if options.chat and not has_template(tokenizer):
        raise InputError(
            f"--chat: {options.model} has no chat template, or its preset says `template: none`; found a model that "
            "continues texts. Leave --chat out, and ask by the beginning of a sentence"
        )
    model = loading.load_model(options.model, device())
    generator = TransformersGenerator(model, tokenizer)
    tokens = options.tokens or (_CHAT_TOKENS if options.chat else _TOKENS)
    sampling = greedy(tokens)

    def prompt(text: str) -> Prompt:
        return Prompt(text=chat_prompt(tokenizer, text) if options.chat else text, seed=0)

    for texts in [options.prompts] if options.prompts else _typed(_readline):
        before = generator.generate("", [prompt(text) for text in texts], sampling)
        with applied(model, edit):
            after = generator.generate("", [prompt(context + notes("", text) + text) for text in texts], sampling)
        width = min(_WIDEST, shutil.get_terminal_size().columns)
        for text, old, new in zip(texts, before, after, strict=True):
            print(side_by_side(text, old, new, width))


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


def _context(edit: Edit, options: argparse.Namespace) -> str:
    """What goes before the prompts after the edit; nothing for an edit that changes weights."""
    if was_dropped(options.edit):
        raise InputError(
            f"{options.edit}: single edits are made, scored and dropped, so there is no edited model to ask; "
            "run with protocol.kind=mass or sequential"
        )
    if not edit.contexts and options.request_id is None:
        return ""
    if options.request_id not in edit.contexts:
        first = ", ".join(list(edit.contexts)[:5]) or "none: this edit changes weights, leave --request-id out"
        raise InputError(
            f"--request-id: wanted a request of this edit in context ({first}); found {options.request_id!r}"
        )
    return edit.contexts[options.request_id]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", nargs="*", metavar="prompt", help="text to continue; without one: read them here")
    parser.add_argument("--chat", action="store_true", help="the texts are questions to a chat model")
    parser.add_argument("--model", type=Path, default=Path("models/base"), help="folder of stage base")
    parser.add_argument("--edit", type=Path, default=Path("models/edit"), help="folder of stage edit, or a checkpoint")
    parser.add_argument("--request-id", help="whose context goes before the prompts, for an edit in context")
    parser.add_argument(
        "--tokens", type=int, help=f"length of a continuation (default: {_TOKENS}, with --chat {_CHAT_TOKENS})"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
