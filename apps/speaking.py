"""A model and, where there is one, its edit, opened to be asked: what `errata ask`, `chat` and `serve` share."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import InputError
from lib.core.params import ROOT, read_params
from lib.edits.apply import applied
from lib.edits.edit import Edit
from lib.edits.store import INFO, load_edit, was_dropped
from lib.generation.engine import Prompt, Sampling, greedy
from lib.generation.texts import TransformersGenerator
from lib.handover.bases import base_of, named_model, present_base
from lib.handover.bundle import Bundle
from lib.handover.recent import latest
from lib.models.loading import load_model, load_tokenizer
from lib.models.manifest import MANIFEST
from lib.models.templates import Turn, chat_prompt, has_template
from lib.runtime.machine import device

TOKENS, CHAT_TOKENS = 20, 60
"""Length of a continuation, and of an answer."""


@dataclass(frozen=True, kw_only=True)
class Speaker:
    """A model that is asked, before and after an edit."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    edit: Edit | None
    """None: there is no edit, and only the model itself can be asked."""
    name: str
    """Of what is asked, in words."""

    def texts(self, prompts: Sequence[str], sampling: Sampling, *, edited: bool, seed: int = 0) -> list[str]:
        """What is written after every prompt, with the edit or without it."""
        generator = TransformersGenerator(self.model, self.tokenizer)
        queries = [Prompt(text=prompt, seed=seed) for prompt in prompts]
        if not edited or self.edit is None:
            return generator.generate("", queries, sampling)
        with applied(self.model, self.edit):
            return generator.generate("", queries, sampling)

    def before_and_after(self, prompts: Sequence[str], tokens: int) -> list[tuple[str, str | None]]:
        """Greedy continuations of every prompt; of a model without an edit the second is None."""
        sampling = greedy(tokens)
        before = self.texts(prompts, sampling, edited=False)
        after = self.texts(prompts, sampling, edited=True) if self.edit else [None] * len(before)
        return list(zip(before, after, strict=True))

    def questions(self, texts: Sequence[str]) -> list[str]:
        """Each text as a question in the chat template. Raises InputError where the model has none."""
        self.check_template()
        return [chat_prompt(self.tokenizer, text) for text in texts]

    def question_after(self, text: str, turns: Sequence[Turn]) -> str:
        """A question in the chat template, after earlier turns."""
        return chat_prompt(self.tokenizer, text, turns)

    def check_template(self) -> None:
        """Raise InputError where the model has no chat template."""
        if not has_template(self.tokenizer):
            raise InputError(
                f"{self.name}: wanted a model with a chat template; found one that continues texts. Ask it by the "
                'beginning of a sentence: errata ask "The capital of France is"'
            )


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a person named, not loaded yet."""

    base: Path
    """The folder with the model's manifest."""
    edit: Path | None
    """The edit's folder; None: the model alone."""
    preset: str = "folder"
    """Of configs/models/: how a model of this kind is trained."""

    @property
    def name(self) -> str:
        """In words."""
        return f"the edit in {self.edit}" if self.edit else f"the model in {self.base}"


def opened(model: str | None, edit: Path | None) -> Speaker:
    """What a person named, loaded. Raises InputError as `asked` and `speaker_of` do."""
    return speaker_of(asked(model, edit))


def asked(model: str | None, edit: Path | None) -> Asked:
    """What a person named: an edit's folder, a model alone, or nothing: the latest edit, or the repository's last run.

    Args:
        model: a preset, a folder or a GGUF file; with `edit` a folder that has the edited model.
        edit: a folder that `errata` has written, or that of stage edit.

    Raises InputError where there is neither.
    """
    bundle = Bundle(folder=edit) if edit is not None else (latest() if model is None else None)
    if bundle is not None and bundle.exists():
        info = bundle.info()
        base = present_base(bundle.base, info.preset, Path(model) if model else None)
        return Asked(base=base, edit=bundle.folder, preset=str(info.params["model"]))
    if edit is None and model is not None:
        named = named_model(model)
        return Asked(base=base_of(named), edit=None, preset=named.name)
    folder, base = edit or ROOT / "models" / "edit", Path(model) if model else ROOT / "models" / "base"
    if not (base / MANIFEST).is_file() or (edit is not None and not any(folder.glob("*.json"))):
        raise InputError(
            f"wanted an edit or a model; found no edit of yours on this machine, and none at {folder}. Name a model "
            "(--model smollm2-135m), or make an edit: errata fix FACTS --model NAME --to FOLDER"
        )
    return Asked(base=base, edit=folder if (folder / INFO).is_file() else None, preset=str(read_params()["model"]))


def speaker_of(subject: Asked) -> Speaker:
    """The model and the edit, loaded. Raises InputError where the edit is none that weights hold."""
    folder, base = subject.edit, subject.base
    if folder is not None and was_dropped(folder):
        raise InputError(f"{folder}: single edits are made, scored and dropped, so there is no edited model to ask")
    edit = load_edit(folder) if folder is not None else None
    if edit is not None and edit.contexts:
        raise InputError(
            f"{folder}: an edit in context belongs to one fact: python -m apps.ask --model {base} --edit {folder} "
            "--request-id ID PROMPT"
        )
    if edit is not None and edit.notes is not None:
        raise InputError(
            f"{folder}: this edit is notes that are retrieved for a prompt: python -m apps.ask --model {base} --edit "
            f"{folder} PROMPT"
        )
    return Speaker(model=load_model(base, device()), tokenizer=load_tokenizer(base), edit=edit, name=subject.name)
