"""Generation with vLLM, on a GPU or on a CPU: the only module that imports vllm, and only when a generator starts.

vLLM runs inside this process (VLLM_ENABLE_V1_MULTIPROCESSING=0), so that the order of its work, and with it every
text, is the same in every run. One process drives one model, on one GPU or spread over several: for more GPUs start
more processes, each with CUDA_VISIBLE_DEVICES and prompts of its own. Closing a generator ends
torch.distributed's process group, if there is one: do not start it inside a distributed job that goes on afterwards.
"""

import gc
import importlib.util
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy
import torch

from lib.core.errors import InputError
from lib.generation.engine import Prompt, Sampling
from lib.models.tokens import prompt_ids

_SETTINGS = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
}
"""Environment variables that vLLM reads while it is imported. What the user has set wins; ours stay set."""
_INVARIANT = "VLLM_BATCH_INVARIANT"
"""Environment variable that makes a text independent of the batch, where the GPU can."""
_INVARIANT_FROM = (8, 0)
"""Compute capability from which a GPU can (vLLM 0.32)."""
_GIB = 2**30
_CPU_BLOCK_TOKENS = 32
"""Tokens of one prefix-cache block on a CPU: vLLM's own 128 leave most of a short prefix out of the cache."""
_LAUNCHER = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT")
"""Environment variables of torchrun's, by which an engine of its own could take itself for one of several."""
_INSTALL = "install it as the head of requirements-vllm.txt (GPU) or requirements-vllm-cpu.txt (CPU) tells"


def available() -> bool:
    """Whether the vllm package is installed; importing it, which takes seconds, is left to the generator."""
    return importlib.util.find_spec("vllm") is not None


def check_installed() -> None:
    """Raise InputError, which says how to install it, where the vllm package is not installed."""
    if not available():
        raise InputError(f"vLLM was asked for, but the package vllm is not installed: {_INSTALL}.")


class VllmGenerator:
    """A model in a local folder, continued with vLLM. A context manager: leaving it frees the model and its cache."""

    def __init__(
        self, model_folder: Path, *, dtype: str, max_length: int, seed: int, memory_gib: int = 4,
        tensor_parallel: int = 1,
    ) -> None:  # fmt: skip
        """Start the engine (seconds to a minute).

        `dtype` is torch's name of a floating-point type; `max_length` bounds prompt and continuation together, in
        tokens. `memory_gib` is the size of the key-value cache on a CPU, where VLLM_CPU_KVCACHE_SPACE overrides it; on
        a GPU vLLM takes what memory is left. `seed` seeds the engine; each prompt's own seed decides its text.
        `tensor_parallel` is the number of GPUs that the model is spread over.

        Raises InputError where vllm is absent or unusable, or where its CPU build cannot run the model's head size.
        """
        vllm = _import_vllm()
        on_cpu = vllm.platforms.current_platform.is_cpu()
        settings = {"enforce_eager": True, "block_size": _CPU_BLOCK_TOKENS, "kv_cache_memory_bytes": memory_gib * _GIB}
        self._max_length = max_length
        self._prompt_tokens = self._cached_tokens = 0
        with ExitStack() as stack:
            stack.enter_context(_process_restored())
            for name in _LAUNCHER:
                os.environ.pop(name, None)
            self._engine: Any = vllm.LLM(
                str(model_folder), dtype=dtype, max_model_len=max_length, seed=seed,
                tensor_parallel_size=tensor_parallel, **(settings if on_cpu else {}),
            )  # fmt: skip
            stack.callback(self._stop)
            if on_cpu:
                _check_head_size(model_folder, self._engine.model_config.get_head_size())
            self._cleanup = stack.pop_all()

    def generate(self, shared_prefix: str, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        """The continuation of `shared_prefix` + text for each prompt, in their order, without stop text or end token.

        A prompt draws from a random stream of its own, whatever else is in the call. Its logits, though, hold only up
        to rounding: beyond tiny float32 models their last bits vary with the size of a batch and with what the prefix
        cache holds, and a text rarely with them (bfloat16: measured, 2 of 30; float32: 0 of 30, 12 heads of 64). The
        same calls in the same order give the same texts. On a GPU that can, VLLM_BATCH_INVARIANT=1, which is set here,
        is meant to fix it.

        Raises InputError where a prompt leaves no room for `sampling.max_tokens` tokens.
        """
        return [continuation.text for continuation in self._continuations(shared_prefix, prompts, sampling)]

    def generate_tokens(self, shared_prefix: str, prompts: Sequence[Prompt], sampling: Sampling) -> list[list[int]]:
        """The same continuations as token ids, an end token included."""
        return [list(continuation.token_ids) for continuation in self._continuations(shared_prefix, prompts, sampling)]

    def prefix_cache_hit_rate(self) -> float | None:
        """The share of all prompt tokens so far that came from the prefix cache, 0 to 1; None before any."""
        return self._cached_tokens / self._prompt_tokens if self._prompt_tokens else None

    def close(self) -> None:
        """Stop the engine and free its memory. The generator is of no use afterwards; closing twice is harmless."""
        self._cleanup.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _continuations(self, shared_prefix: str, prompts: Sequence[Prompt], sampling: Sampling) -> list[Any]:
        encoded = [self._encode(shared_prefix + prompt.text, sampling.max_tokens) for prompt in prompts]
        outputs = self._engine.generate(
            [{"prompt_token_ids": ids} for ids in encoded],
            [_sampling_params(sampling, prompt.seed) for prompt in prompts],
            use_tqdm=False,
        )
        self._prompt_tokens += sum(len(ids) for ids in encoded)
        self._cached_tokens += sum(output.num_cached_tokens or 0 for output in outputs)
        return [output.outputs[0] for output in outputs]

    def _encode(self, text: str, max_tokens: int) -> list[int]:
        ids = prompt_ids(self._engine.get_tokenizer(), text)
        if len(ids) + max_tokens > self._max_length:
            raise InputError(
                f"vLLM: a prompt of {len(ids)} tokens and {max_tokens} new ones exceed the model's {self._max_length}: "
                f"shorten the shared prefix or ask for fewer tokens. The prompt ends in {text[-80:]!r}."
            )
        return ids

    def _stop(self) -> None:
        self._engine.llm_engine.engine_core.shutdown()
        self._engine = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def environment() -> dict[str, str]:
    """The environment that vLLM is imported in."""
    can = torch.cuda.is_available() and torch.cuda.get_device_capability() >= _INVARIANT_FROM
    return _SETTINGS | ({_INVARIANT: "1"} if can else {})


def _import_vllm() -> Any:
    check_installed()
    for name, value in environment().items():
        os.environ.setdefault(name, value)
    try:
        import vllm
        import vllm.platforms

        _ = vllm.LLM  # what vllm exports is imported only when it is asked for
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f"vLLM is installed but cannot be imported ({error}): {_INSTALL}. On a CPU torchvision, torchaudio and "
            "torchcodec must not be installed beside it."
        ) from error
    return vllm


def _sampling_params(sampling: Sampling, seed: int) -> Any:
    from vllm import SamplingParams

    return SamplingParams(
        max_tokens=sampling.max_tokens,
        temperature=0.0 if sampling.greedy else sampling.temperature,
        top_k=sampling.top_k,
        seed=seed,
        stop=list(sampling.stop),
    )


def _check_head_size(model_folder: Path, head_size: int) -> None:
    """Refuse at the start what vLLM's CPU attention would refuse only when it generates."""
    from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend

    sizes = CPUAttentionBackend.get_supported_head_sizes()
    if head_size not in sizes:
        raise InputError(
            f"{model_folder}: vLLM on a CPU runs attention heads of {', '.join(map(str, sizes))} dimensions; this "
            f"model's have {head_size}: use the transformers backend."
        )


@contextmanager
def _process_restored() -> Iterator[None]:
    """Put back on exit what an engine changes in its process.

    It sets environment variables (LD_PRELOAD for child processes among them), seeds the global random generators
    (a GPU's own is left so) and, on a CPU, replaces torch.set_num_threads by a function that does nothing.
    """
    environment = dict(os.environ)
    set_num_threads = torch.set_num_threads
    python_state, numpy_state = random.getstate(), numpy.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        numpy.random.set_state(numpy_state)
        random.setstate(python_state)
        torch.set_num_threads = set_num_threads
        os.environ.clear()
        os.environ.update(environment)
