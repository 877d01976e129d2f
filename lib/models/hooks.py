"""What is done beside a module while it computes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from torch import Tensor, nn

from lib.models.sharding import is_sharded


class Complete(Exception):  # noqa: N818 - ends a forward pass that has nothing more to give
    """All that is wanted of a forward pass is read."""


@contextmanager
def hooked(module: nn.Module, hook: Callable[..., Any]) -> Iterator[None]:
    """Within it, `hook` gets the module, its inputs and its output in every pass; what it returns takes the output's
    place, unless it returns None."""
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def inputs_read(model: nn.Module, paths: Sequence[str], see: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Within it, one forward pass: `see` gets each module's path and inputs [b, t, d_in]; the pass ends at the last.

    Of a model that is spread over processes (lib/models/sharding.py) the pass goes on, since all of them gather every
    block.
    """
    remaining = {*paths}
    goes_on = any(is_sharded(parameter) for parameter in model.parameters())

    def hook(path: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hand_over(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            see(path, inputs[0])
            remaining.discard(path)
            if not (remaining or goes_on):
                raise Complete

        return hand_over

    with suppress(Complete), ExitStack() as stack:
        for path in paths:
            stack.callback(model.get_submodule(path).register_forward_pre_hook(hook(path)).remove)
        yield
