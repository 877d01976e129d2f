"""The model that judges free texts, by the name that score.judge gives it."""

from collections.abc import Callable, Iterable
from typing import Any

from lib.core.errors import InputError
from lib.generation.chat import ServerGenerator, TemplateGenerator, is_address
from lib.generation.engine import Generator
from lib.generation.texts import TransformersGenerator
from lib.handover.bases import base_of, named_model
from lib.models.loading import load_model, load_tokenizer
from lib.models.templates import has_template
from lib.runtime.machine import device

SETTING = "score.judge"


def judge_engine(name: str, show: Callable[[Iterable[Any], int], Iterable[Any]]) -> Generator:
    """What answers the judge's questions: a server, or a chat model on this machine.

    Args:
        name: an OpenAI-compatible address, a preset of configs/models/, a folder with a model, or a GGUF file.
        show: passes a local model's answers on as they end, and tells how many of so many there are.

    Raises InputError where it is none of these, where the server does not answer, or where the model has no chat
    template.
    """
    if is_address(name):
        return ServerGenerator(name, SETTING)
    base = base_of(named_model(name, SETTING))
    tokenizer = load_tokenizer(base)
    if not has_template(tokenizer):
        raise InputError(f"{SETTING}: wanted a chat model; found {name}, whose tokenizer has no chat template")
    return TemplateGenerator(TransformersGenerator(load_model(base, device()), tokenizer, show), tokenizer)
