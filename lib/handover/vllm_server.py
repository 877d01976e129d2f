"""vLLM's own OpenAI-compatible server as a process of its own, with a model and a LoRA adapter on it.

Nothing here imports vLLM. What it cannot run (an architecture, heads of another size on a CPU, a model that the memory
does not hold) it says itself, in its log, and ends before it answers.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from lib.core.errors import InputError
from lib.core.files import read_object
from lib.edits.adapter import CONFIG
from lib.generation import vllm

_MODULE = "vllm.entrypoints.openai.api_server"
"""Not the command `vllm`: it asks for the version of a package of that name, and the CPU's has another one (0.32)."""
_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What --max-lora-rank can be (vLLM 0.32)."""
_ENVIRONMENT = {"VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "4"}
"""Of the server, where the user has set nothing else; the last one is in GiB."""
_NO_CHAT = "{{ raise_exception('this model has no chat template') }}"
_SECONDS, _SECONDS_TO_TELL = 0.5, 30


def refusal(edit: Path | None) -> str | None:
    """Why vLLM cannot serve a model with the edit in this folder; None where nothing is known against it."""
    if not vllm.available():
        return "the package vllm is not installed (requirements-vllm.txt on a GPU, requirements-vllm-cpu.txt on a CPU)"
    if edit is None:
        return None
    if not (edit / CONFIG).is_file():
        return f"{edit} holds no LoRA adapter ({CONFIG}), the only kind of edit that vLLM takes beside a model"
    if (rank := _rank(edit)) > _RANKS[-1]:
        return f"the adapter in {edit} has rank {rank}; vLLM takes ranks up to {_RANKS[-1]}"
    return None


def command(
    weights: Path, edit: Path | None, *, names: tuple[str, str], host: str, port: int, dtype: str, has_template: bool
) -> list[str]:
    """The command line that serves the model in `weights`, and beside it the model with the adapter in `edit`.

    Args:
        names: of the edited model and of the one before the edit, as requests ask for them.
        dtype: that the model computes in, by torch's name.
        has_template: False refuses chats, whatever template the tokenizer has.
    """
    edited, before = names
    arguments = ["--model", str(weights), "--served-model-name", before, "--host", host, "--port", str(port)]
    arguments += ["--dtype", dtype, "--seed", "0"]
    if edit is not None:
        rank = next(rank for rank in _RANKS if rank >= _rank(edit))
        arguments += ["--enable-lora", "--max-lora-rank", str(rank), "--lora-modules", f"{edited}={edit}"]
    if not has_template:
        arguments += ["--chat-template", _NO_CHAT]
    return [sys.executable, "-m", _MODULE, *arguments]


def environment(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment that the server starts in, out of this process's."""
    return _ENVIRONMENT | dict(variables)


@contextmanager
def started(
    arguments: list[str], address: str, log: Path, tell: Callable[[str], None]
) -> Iterator["subprocess.Popen[bytes]"]:
    """Within it, the server of a command line runs and answers at `address` (.../v1); it is ended on exit.

    Its output goes to `log`; `tell` takes a line every half minute until it answers. Raises InputError where it ends
    before that.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stream:
        process = subprocess.Popen(arguments, env=environment(), stdout=stream, stderr=subprocess.STDOUT)
    try:
        _wait(process, address, log, tell)
        yield process
    finally:
        process.terminate()
        process.wait()


def _wait(process: "subprocess.Popen[bytes]", address: str, log: Path, tell: Callable[[str], None]) -> None:
    start = last_line = time.monotonic()
    while not _answers(address):
        if process.poll() is not None:
            raise InputError(f"vLLM ended before it answered; it says why in {log}{_last_error(log)}")
        if (clock := time.monotonic()) - last_line > _SECONDS_TO_TELL:
            tell(f"vLLM is starting: {clock - start:.0f} s")
            last_line = clock
        time.sleep(_SECONDS)


def _answers(address: str) -> bool:
    try:
        with urlopen(f"{address}/models", timeout=5):
            return True
    except (URLError, OSError):
        return False


def _last_error(log: Path) -> str:
    """The last line that names an error; nothing where there is none."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((f" ({line.strip()[-300:]})" for line in reversed(lines) if "Error: " in line), "")


def _rank(edit: Path) -> int:
    values = read_object(edit / CONFIG)
    return max(int(values["r"]), *map(int, (values.get("rank_pattern") or {}).values()), 1)
