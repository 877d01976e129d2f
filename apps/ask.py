"""What the model says before and after the edit: `python -m apps.ask "The capital of France is"`.

Continuations are greedy. An edit in context needs --request-id, since each of its texts belongs to one request.
"""

import argparse
import shutil
import textwrap
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from lib.core.errors import InputError
from lib.core.run import run
from lib.edits.apply import applied
from lib.edits.edit import Edit
from lib.edits.store import load_edit, was_dropped
from lib.generation.engine import Prompt, Sampling
from lib.generation.equal_length import TransformersGenerator
from lib.models import loading
from lib.runtime.machine import device

_WIDEST = 120


def main() -> None:
    """Load the model once; print both continuations of every prompt."""
    options = _options()
    edit = load_edit(options.edit)
    context = _context(edit, options)
    model = loading.load_model(options.model, device())
    generator = TransformersGenerator(model, loading.load_tokenizer(options.model))
    sampling = Sampling(max_tokens=options.tokens, temperature=1.0, top_k=0, greedy=True)
    before = generator.generate("", [Prompt(text=prompt, seed=0) for prompt in options.prompts], sampling)
    with applied(model, edit):
        after = generator.generate("", [Prompt(text=context + prompt, seed=0) for prompt in options.prompts], sampling)
    width = min(_WIDEST, shutil.get_terminal_size().columns)
    for prompt, old, new in zip(options.prompts, before, after, strict=True):
        print(side_by_side(prompt, old, new, width))


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
    parser.add_argument("prompts", nargs="+", metavar="prompt", help="text to continue")
    parser.add_argument("--model", type=Path, default=Path("models/base"), help="folder of stage base")
    parser.add_argument("--edit", type=Path, default=Path("models/edit"), help="folder of stage edit, or a checkpoint")
    parser.add_argument("--request-id", help="whose context goes before the prompts, for an edit in context")
    parser.add_argument("--tokens", type=int, default=20, help="length of a continuation (default: 20)")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
