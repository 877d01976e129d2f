"""A page where a model is asked and a fact is corrected in it, before and after side by side: `errata demo`.

The page is gradio's (requirements-demo.txt), on 127.0.0.1; nothing that is typed leaves the machine.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from threading import Event, Lock
from types import ModuleType
from typing import Any

from apps.ending import until_ended, what_ends_it
from apps.serve import HOST
from apps.speaking import Speaker
from lib.core.errors import InputError
from lib.edits.edit import Edit
from lib.models.templates import has_template

Correct = Callable[[dict[str, Any]], Edit]
"""Trains one fact (docs/own-facts.md) into the model, and gives the edit."""
_TITLE = "Errata: a model before and after an edit"
_NO_EDIT = "(there is no edit)"


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What the page does; one request at a time."""

    speaker: Speaker
    correct: Correct
    _lock: Any = field(default_factory=Lock)

    def ask(self, prompt: str, in_chat: bool) -> tuple[str, str]:
        """What is written before and after the edit. Raises InputError where the prompt is empty."""
        return self._texts(self.speaker, prompt, in_chat)

    def correct_and_ask(
        self, subject: str, prompt: str, target_new: str, other_prompt: str
    ) -> tuple[str, str, str, str]:
        """Before and after a new edit of one fact, at its prompt and at another one (nothing where that is empty).

        The new edit is made on the unedited model, whatever edit the page was opened with, and forgotten afterwards.
        Raises InputError where the fact is wrong.
        """
        fields = {"prompt": prompt, "target_new": target_new, "subject": subject}
        with self._lock:
            edit = self.correct({name: text.strip() for name, text in fields.items() if text.strip()})
        edited = replace(self.speaker, edit=edit)
        first = self._texts(edited, prompt, False)
        second = self._texts(edited, other_prompt, False) if other_prompt.strip() else ("", "")
        return *first, *second

    def _texts(self, speaker: Speaker, prompt: str, in_chat: bool) -> tuple[str, str]:
        if not prompt.strip():
            raise InputError("prompt: wanted the beginning of a sentence, or a question; found nothing")
        with self._lock:
            ((before, after),) = speaker.before_and_after([prompt.strip()], in_chat=in_chat)
        return before.strip(), _NO_EDIT if after is None else after.strip()


def launch(demo: Demo, port: int, tell: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C or SIGTERM. Raises InputError where gradio is not installed, or the port is taken."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    blocks = page(gradio(), demo)
    try:
        _, address, _ = blocks.launch(
            server_name=HOST, server_port=port or None, prevent_thread_lock=True, quiet=True, footer_links=[]
        )
    except OSError as error:
        raise InputError(f"--port {port}: wanted a free port; {error}") from None
    tell(f"{demo.speaker.name}: {address} ; {what_ends_it()}")
    try:
        with until_ended(tell):
            Event().wait()
    finally:
        blocks.close(verbose=False)


def page(library: ModuleType, demo: Demo) -> Any:
    """The page, as Blocks of the library gradio."""
    with library.Blocks(title=_TITLE, analytics_enabled=False) as blocks:
        library.Markdown(f"# {_TITLE}\n\n{demo.speaker.name}. Texts are greedy: the same question, the same answer.")
        with library.Tab("Ask"):
            prompt = library.Textbox(label="The beginning of a sentence, or a question")
            in_chat = library.Checkbox(
                label="ask in the model's chat template", interactive=has_template(demo.speaker.tokenizer)
            )
            ask = library.Button("Ask", variant="primary")
            with library.Row():
                outputs = [library.Textbox(label=label, lines=4) for label in ("before the edit", "after the edit")]
            library.on(
                [ask.click, prompt.submit], _shown(library, demo.ask), [prompt, in_chat], outputs, api_name="ask"
            )
        with library.Tab("Correct a fact"):
            labels = ("Subject (Australia)", "Prompt (The capital of Australia is)", "What it should say (Canberra)",
                      "The same in other words, to see (Australia's capital city is)")  # fmt: skip
            inputs = [library.Textbox(label=label) for label in labels]
            correct = library.Button("Correct it: this takes minutes on a CPU", variant="primary")
            outputs = []
            for name in ("the prompt", "in other words"):
                with library.Row():
                    outputs += [library.Textbox(label=f"{when}: {name}", lines=3) for when in ("before", "after")]
            correct.click(_shown(library, demo.correct_and_ask), inputs, outputs, api_name="correct")
    return blocks


def _shown(library: ModuleType, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, whose InputErrors stand on the page."""

    def called(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except InputError as error:
            raise library.Error(str(error), duration=None) from error

    return called


def gradio() -> ModuleType:
    """The package. Raises InputError where it is not installed."""
    try:
        return import_module("gradio")
    except ImportError:
        raise InputError(
            "errata demo: wanted the package gradio; found none. pip install -r requirements-demo.txt; "
            "`errata chat` asks on the terminal without it"
        ) from None
