"""A model and, where there is one, its edit, opened to be asked: what `errata ask`, `chat` and `serve` share."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core.errors import InputError
from lib.core.params import ROOT, did_you_mean, read_params
from lib.edits.adapter import CONFIG
from lib.edits.apply import applied
from lib.edits.contexts import Contexts
from lib.edits.edit import Edit
from lib.edits.scope_classifier import ScopeClassifier
from lib.edits.store import INFO, was_dropped
from lib.generation.engine import Prompt, Sampling, greedy
from lib.generation.texts import TransformersGenerator
from lib.handover.bases import base_of, named_model, present_base
from lib.handover.bundle import Bundle
from lib.handover.recent import latest
from lib.handover.scopes import OF_THE_RUN, loaded
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
    fact: str = ""
    """The request_id whose text goes before every prompt, of an edit in context; of any other edit it is empty."""

    def texts(
        self, texts: Sequence[str], sampling: Sampling, *, edited: bool, turns: Sequence[Turn] | None = None,
        seed: int = 0,
    ) -> list[str]:  # fmt: skip
        """What is written after every text, with the edit or without it; `turns` as in `prompt_of`."""
        in_force = [edited and self._scope.holds(text) for text in texts]
        written: dict[bool, Iterator[str]] = {}
        for with_edit in {*in_force}:
            of_these = [text for text, is_edited in zip(texts, in_force, strict=True) if is_edited == with_edit]
            written[with_edit] = iter(self._written(of_these, sampling, with_edit, turns, seed))
        return [next(written[with_edit]) for with_edit in in_force]

    def _written(
        self, texts: Sequence[str], sampling: Sampling, edited: bool, turns: Sequence[Turn] | None, seed: int
    ) -> list[str]:
        """What is written after every text, with the edit in force for all of them or for none."""
        queries = [Prompt(text=self.prompt_of(text, edited=edited, turns=turns), seed=seed) for text in texts]
        generator = TransformersGenerator(self.model, self.tokenizer)
        with applied(self.model, self.edit) if edited and self.edit else nullcontext():
            return generator.generate("", queries, sampling)

    def before_and_after(
        self, texts: Sequence[str], tokens: int | None = None, *, in_chat: bool = False
    ) -> list[tuple[str, str | None]]:
        """Greedy continuations of every text, or answers in a chat; of a model without an edit the second is None.

        `tokens` is their length, None the usual one. Raises as `prompt_of`.
        """
        sampling, turns = greedy(tokens or (CHAT_TOKENS if in_chat else TOKENS)), () if in_chat else None
        before = self.texts(texts, sampling, edited=False, turns=turns)
        after = self.texts(texts, sampling, edited=True, turns=turns) if self.edit else [None] * len(before)
        return list(zip(before, after, strict=True))

    def prompt_of(self, text: str, *, edited: bool, turns: Sequence[Turn] | None = None) -> str:
        """What the model reads: the text, and before it what the edit states (its context, notes near the text).

        Args:
            turns: earlier ones of a chat, none or more; the text is then a question in the chat template. None: the
                model continues the text.

        Raises InputError where the model has no chat template.
        """
        whole_text = self._contexts(self.fact, text) + text if edited else text
        if turns is None:
            return whole_text
        self.check_template()
        return chat_prompt(self.tokenizer, whole_text, turns)

    @cached_property
    def _contexts(self) -> Contexts:
        return Contexts.of(self.edit or Edit(updates={}), self.model.device.type)

    @cached_property
    def _scope(self) -> ScopeClassifier:
        return ScopeClassifier.of(self.edit or Edit(updates={}), self.model.device.type)

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
    model: str | None = None
    """As a person named it, where it is asked alone."""
    preset: str = "folder"
    """Of configs/models/: how a model of this kind is trained."""
    fact: str | None = None
    """Id of the fact whose text goes before every prompt, of an edit in context."""

    @property
    def name(self) -> str:
        """In words."""
        if self.edit is not None:
            return f"the edit in {self.edit}"
        return f"the model in {self.base}" if self.model is None else f"the model {self.model}"


def opened(model: str | None, edit: Path | None, fact: str | None = None) -> Speaker:
    """What a person named, loaded. Raises InputError as `asked` and `speaker_of` do."""
    return speaker_of(asked(model, edit, fact))


def asked(model: str | None, edit: Path | None, fact: str | None = None) -> Asked:
    """What a person named: an edit's folder, a model alone, or nothing: the latest edit, or the repository's last run.

    Args:
        model: a preset, a folder or a GGUF file; with `edit` a folder that has the edited model.
        edit: a folder that `errata` has written, or that of stage edit.
        fact: of an edit in context, the id of the fact that is asked about.

    Raises InputError where there is neither.
    """
    bundle = Bundle(folder=edit) if edit is not None else (latest() if model is None else None)
    if bundle is not None and bundle.exists():
        info = bundle.info()
        base = present_base(bundle.base, info.preset, Path(model) if model else None)
        return Asked(base=base, edit=bundle.folder, preset=str(info.params["model"]), fact=fact)
    if edit is None and model is not None:
        named = named_model(model)
        return Asked(base=base_of(named), edit=None, model=model, preset=named.name, fact=fact)
    folder, base = edit or OF_THE_RUN, Path(model) if model else ROOT / "models" / "base"
    is_edit = any((folder / name).is_file() for name in (INFO, CONFIG))
    if not (base / MANIFEST).is_file() or (edit is not None and not is_edit):
        raise InputError(
            f"wanted an edit or a model; found no edit of yours on this machine, and none at {folder}. Name a model "
            "(--model smollm2-135m), or make an edit: errata fix FACTS --model NAME --to FOLDER"
        )
    return Asked(base=base, edit=folder if is_edit else None, preset=str(read_params()["model"]), fact=fact)


def speaker_of(subject: Asked) -> Speaker:
    """The model and the edit, loaded. Raises InputError where no edit is there, and as `_chosen_fact` does."""
    folder = subject.edit
    if folder is not None and was_dropped(folder):
        raise InputError(
            f"{folder}: single edits are made, scored and dropped, so there is no edited model to ask; run with "
            "protocol.kind=mass or sequential"
        )
    edit = loaded(folder) if folder is not None else None
    fact = _chosen_fact(subject, edit)
    model, tokenizer = load_model(subject.base, device()), load_tokenizer(subject.base)
    return Speaker(model=model, tokenizer=tokenizer, edit=edit, name=subject.name, fact=fact)


def _chosen_fact(subject: Asked, edit: Edit | None) -> str:
    """The fact that is asked about; empty for an edit that needs none.

    Raises InputError where an edit in context has no such fact, or another edit is given one.
    """
    if edit is None or not edit.contexts:
        if subject.fact is not None:
            raise InputError(f"--fact {subject.fact}: {subject.name} is no edit in context; leave --fact out")
        return ""
    if subject.fact is None or subject.fact not in edit.contexts:
        names, word = list(edit.contexts), "none" if subject.fact is None else repr(subject.fact)
        raise InputError(
            f"{subject.name} is an edit in context: its texts go before the prompts of one fact each. Wanted --fact ID "
            f"({', '.join(names[:5])}{', ...' if len(names) > 5 else ''}; errata list shows them); found {word}"
            f"{did_you_mean(subject.fact or '', names)}"
        )
    return subject.fact
