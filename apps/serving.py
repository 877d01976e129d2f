"""Which engine serves an edit, and that one's server: `errata serve`.

vLLM's own server where it is installed and takes the edit, else transformers behind the standard library's. Both have
the models `edited` and `before` on 127.0.0.1.
"""

import socket
from collections.abc import Callable
from typing import Literal

from apps.ending import until_ended, what_ends_it
from apps.serve import BEFORE, EDITED, HOST, server
from apps.speaking import Asked, speaker_of
from lib.core import cache
from lib.core.errors import InputError
from lib.handover.scopes import has_scope
from lib.handover.vllm_server import command, refusal, started
from lib.models.loading import dtype_on, load_tokenizer
from lib.models.manifest import read_manifest, weights_folder
from lib.models.templates import has_template
from lib.runtime.machine import device

Backend = Literal["auto", "vllm", "transformers"]
Tell = Callable[[str], None]


def serve(subject: Asked, port: int, backend: Backend, tell: Tell) -> None:
    """Serve until Ctrl-C or SIGTERM; `tell` takes what is said of it, the engine and the address among it.

    Args:
        port: on 127.0.0.1; 0 takes a free one.
        backend: `auto` takes vLLM where it can, and says why where it cannot.

    Raises InputError where the backend that is asked for is absent or does not take this edit, where the port is taken,
    and as `apps.speaking.speaker_of` does.
    """
    _check_free(port)
    with until_ended(tell):
        if backend != "transformers" and _vllm_served(subject, port, backend, tell):
            return
        with server(speaker_of(subject), port) as running:
            tell(_told(subject, "transformers", running.server_port, "one request at a time"))
            running.serve_forever()


def _vllm_served(subject: Asked, port: int, backend: Backend, tell: Tell) -> bool:
    """Serve with vLLM until the end; False where `auto` has to take transformers."""
    reason = refusal(subject.edit)
    if reason is None and subject.edit is not None and has_scope(subject.edit):
        reason = f"the edit in {subject.edit} is in force near its facts alone, and vLLM does not tell prompts apart"
    if reason is None:
        try:
            _run_vllm(subject, port or _free_port(), tell)
            return True
        except InputError as error:
            reason = str(error)
    if backend == "vllm":
        raise InputError(f"--backend vllm: {reason}. `--backend transformers` serves it, one request at a time")
    tell(f"not vLLM: {reason}")
    return False


def _run_vllm(subject: Asked, port: int, tell: Tell) -> None:
    log = cache.cache_folder() / f"serve-{port}.log"
    dtype = str(dtype_on(device(), read_manifest(subject.base)["dtype"])).removeprefix("torch.")
    arguments = command(
        weights_folder(subject.base), subject.edit, names=(EDITED, BEFORE), host=HOST, port=port, dtype=dtype,
        has_template=has_template(load_tokenizer(subject.base)),
    )  # fmt: skip
    tell(f"vLLM is starting; its output is in {log}")
    with started(arguments, f"http://{HOST}:{port}/v1", log, tell) as process:
        tell(_told(subject, "vLLM", port, "many requests at once"))
        if process.wait() != 0:
            raise InputError(f"vLLM ended; it says why in {log}")


def _told(subject: Asked, engine: str, port: int, how: str) -> str:
    names = f"models: {EDITED}, {BEFORE}" if subject.edit else f"model: {BEFORE}"
    return f"{subject.name}: http://{HOST}:{port}/v1 ({names}), served by {engine}, {how}; {what_ends_it()}"


def _check_free(port: int) -> None:
    """Raise InputError where another program listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise InputError(
                f"--port {port}: another program listens there ({error.strerror}); name another port, or 0"
            ) from None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
