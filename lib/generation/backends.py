"""Which engine writes paraphrases: vLLM where there is a GPU and the package, transformers everywhere else."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from lib.core.files import read_json
from lib.core.params import Para
from lib.generation import vllm
from lib.generation.engine import Generator
from lib.models.manifest import MANIFEST, weights_folder
from lib.runtime.machine import device

_MAX_LENGTH = 512
"""Tokens of shared prefix, prompt and continuation together: room for the few-shot prompt in any tokenizer."""


def backend_of(para: Para) -> Literal["vllm", "transformers"]:
    """The engine that para.backend names, with `auto` resolved."""
    if para.backend == "auto":
        import torch

        return "vllm" if torch.cuda.is_available() and vllm.available() else "transformers"
    return para.backend


@contextmanager
def generator(para: Para, base: Path) -> Iterator[Generator]:
    """The engine that para.backend names, with the model of `base`; freed on exit."""
    from lib.generation.equal_length import TransformersGenerator
    from lib.models import loading

    backend = backend_of(para)
    logging.getLogger(__name__).info("paraphrase: backend %s", backend)
    if backend == "transformers":
        model = loading.load_model(base, device())
        yield TransformersGenerator(model, loading.load_tokenizer(base))
        return
    dtype = str(loading.dtype_on(device(), read_json(base / MANIFEST)["dtype"]))
    with vllm.VllmGenerator(
        weights_folder(base),
        dtype=dtype.removeprefix("torch."),
        max_length=_MAX_LENGTH + para.max_tokens,
        seed=para.seed,
        tensor_parallel=para.tensor_parallel,
    ) as engine:
        yield engine
