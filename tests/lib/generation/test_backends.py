"""Which engine writes: vLLM where its package is installed, on a CPU too, and the log says so."""

import logging
from pathlib import Path
from typing import Any, Self

import pytest
import torch

from lib.core.params import Para, section
from lib.generation import backends, vllm
from lib.generation.texts import TransformersGenerator
from tests.helpers.small import inputs


class Stub:
    """Stands for a started vLLM engine."""

    def __init__(self, model_folder: Path, **options: Any) -> None:
        self.options = options

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to free."""


def para(backend: str) -> Para:
    return section("para", Para).model_copy(update={"backend": backend, "method": "fewshot"})


@pytest.mark.parametrize(("backend", "installed", "writer"), [
    ("auto", True, "vllm"), ("auto", False, "transformers"), ("transformers", True, "transformers"),
])  # fmt: skip
def test_auto_takes_vllm_where_it_is_installed_on_a_cpu_too_and_says_so(
    backend: str, installed: bool, writer: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(vllm, "available", lambda: installed)
    monkeypatch.setattr(vllm, "VllmGenerator", Stub)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    caplog.set_level(logging.INFO)
    base = inputs(tmp_path)["model"]
    with backends.generator(para(backend), base) as engine:
        assert isinstance(engine, Stub if writer == "vllm" else TransformersGenerator)
    assert backends.writer_of(para(backend)) == writer
    package = "installed" if installed else "not installed"
    assert f"paraphrase: {writer} writes (para.backend={backend}; the vllm package is {package})" in caplog.messages


@pytest.mark.parametrize(("capability", "value"), [((9, 0), "1"), ((8, 0), "1"), ((7, 5), None), (None, None)])
def test_vllm_is_made_independent_of_the_batch_on_a_gpu_that_can(
    capability: tuple[int, int] | None, value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: capability is not None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert vllm.environment().get("VLLM_BATCH_INVARIANT") == value
