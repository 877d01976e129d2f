"""Which engine writes paraphrases: vLLM where the package is installed, transformers everywhere else."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lib.core.errors import InputError
from lib.core.params import Para
from lib.core.run import progress
from lib.generation import vllm
from lib.generation.chat import ServerGenerator, TemplateGenerator, is_address
from lib.generation.engine import Generator
from lib.models.manifest import read_manifest, weights_folder
from lib.runtime.machine import device

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CHATS = ("chat", "rewrite")
"""para.method: those by which a chat model writes."""
_MAX_LENGTH = 512
"""Tokens of shared prefix, prompt and continuation together: room for the few-shot prompt in any tokenizer."""


def backend_of(para: Para) -> Literal["vllm", "transformers"]:
    """The engine that para.backend names, with `auto` resolved."""
    if para.backend == "auto":
        return "vllm" if vllm.available() else "transformers"
    return para.backend


def writer_of(para: Para) -> Literal["vllm", "transformers", "server"]:
    """What writes: a server that para.model names, or an engine here."""
    is_server = para.method in CHATS and para.model is not None and is_address(para.model)
    return "server" if is_server else backend_of(para)


@contextmanager
def generator(para: Para, base: Path) -> Iterator[Generator]:
    """The engine that para.backend names, with the model of `base`, or what writes chat answers; freed on exit."""
    installed = "installed" if vllm.available() else "not installed"
    logging.getLogger(__name__).info(
        "paraphrase: %s writes (para.backend=%s; the vllm package is %s)", writer_of(para), para.backend, installed
    )
    with (_chat if para.method in CHATS else _continuing)(para, base) as engine:
        yield engine


@contextmanager
def _chat(para: Para, base: Path) -> Iterator[Generator]:
    """What answers chat messages: a server, or a model in its template.

    Raises InputError where the model has no template.
    """
    from lib.generation.texts import TransformersGenerator
    from lib.models import loading

    if para.model is not None and is_address(para.model):
        yield ServerGenerator(para.model)
        return
    if para.model is None and backend_of(para) == "vllm":
        tokenizer = loading.load_tokenizer(base)
        _check_template(tokenizer, para, base)
        with _continuing(para, base) as engine:
            yield TemplateGenerator(engine, tokenizer)
        return
    model, tokenizer = loading.load_writer(base if para.model is None else Path(para.model), device())
    _check_template(tokenizer, para, base)
    yield TemplateGenerator(TransformersGenerator(model, tokenizer, _shown), tokenizer)


def _shown(texts: Iterable[Any], total: int) -> Iterable[Any]:
    return progress(texts, "paraphrase: texts of this chunk", total)


def _check_template(tokenizer: "PreTrainedTokenizerBase", para: Para, base: Path) -> None:
    """Raise InputError where the writer's tokenizer has no chat template."""
    from lib.models.templates import has_template

    if not has_template(tokenizer):
        raise InputError(
            f"para.model: wanted a chat model, for para.method={para.method}; found {para.model or base}, whose "
            "tokenizer has no chat template"
        )


@contextmanager
def _continuing(para: Para, base: Path) -> Iterator[Generator]:
    """The engine that continues texts with the model of `base`."""
    from lib.generation.texts import TransformersGenerator
    from lib.models import loading

    backend = backend_of(para)
    if backend == "transformers":
        model = loading.load_model(base, device())
        yield TransformersGenerator(model, loading.load_tokenizer(base), _shown)
        return
    dtype = str(loading.dtype_on(device(), read_manifest(base)["dtype"]))
    with vllm.VllmGenerator(
        weights_folder(base),
        dtype=dtype.removeprefix("torch."),
        max_length=_MAX_LENGTH + para.max_tokens,
        seed=para.seed,
        tensor_parallel=para.tensor_parallel,
    ) as engine:
        yield engine
