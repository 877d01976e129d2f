"""What is done beside a module while it computes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


@contextmanager
def hooked(module: nn.Module, hook: Callable[..., Any]) -> Iterator[None]:
    """Within it, `hook` gets the module, its inputs and its output in every pass; what it returns takes the output's
    place, unless it returns None."""
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
