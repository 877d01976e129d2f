"""What an editor may use beside the requests."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from lib.core.params import Held, Lora, Train
from lib.core.records import Fact, Paraphrase, Request, UneditedFact
from lib.edits.apply import Gate
from lib.methods.progress import Show, silently
from lib.methods.training.loop import Checkpoints, Step
from lib.runtime.distributed import Distributed


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """What was edited before and the model has: by the batches before this one of a sequential run, and before the run
    in the weights themselves (lib/edits/edited_facts.py)."""

    requests: Sequence[Request] = ()
    paraphrases: Sequence[Paraphrase] = ()
    gate: Gate | None = None
    """Closed, the model is the one that the run began with: where NEEDS.closes_earlier, and it has edited since."""


SharedScratch = Callable[[str, Mapping[str, Any]], AbstractContextManager[Path]]
"""(dotted name of the module that searches, what for, in values that JSON can hold) -> a folder of scratch space,
locked, for what is found on the model that a run begins with; runs that search the same have the same, whatever editor.
"""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What an editor may use beside the requests."""

    paraphrases: Sequence[Paraphrase]
    neighbors: Sequence[UneditedFact]
    lora: Lora
    train: Train
    """With every `auto` resolved."""
    least_steps: int = 1
    """Optimiser steps that are made at least, whatever the number of pairs."""
    most_steps: int | None = None
    """With the objective held, steps that are made at most: many edits get larger steps. None = no such number."""
    own_rate: bool = False
    """Whether train.lr is a number of the user's own: with the objective held, crowded subjects do not lower it."""
    held: Held | None = None
    """How the objective `held` trains; None for the published one."""
    distributed: Distributed
    progress: Callable[[Iterable[int]], Iterable[int]]
    checkpoints: Checkpoints | None
    show: Show = silently
    """Of work that is no training step."""
    record: Callable[[Sequence[Step]], None]
    """Takes the training curve, where there is one, step by step or in larger parts."""
    pool: Sequence[Fact] = ()
    """Unedited facts to learn from."""
    texts: Sequence[str] = ()
    """Plain text to train on."""
    encoder: str | None = None
    """The sentence encoder that finds the edits' keywords, by name; None = they get none."""
    statistics: Path | None = None
    """What stage `statistics` made."""
    hypernet: Path | None = None
    """What stage `hypernet` made."""
    prepared: Any = None
    """What the editor's `prepare` made, once for all edits of a run; None where nothing was prepared."""
    earlier: Earlier = field(default_factory=Earlier)
    state: Mapping[str, Tensor] = field(default_factory=dict)
    """Edit.state of the edit before this one in a sequential run."""
    shared_scratch: SharedScratch | None = None
    """None where an edit is made without a run around it, or each of many alone."""
    reused: list[float] = field(default_factory=list)
    """The seconds of work that was not done again, since an earlier run had stored what came of it."""

    def quiet(self) -> "Context":
        """The same, without a word about how far the work is."""
        return replace(self, progress=silently, show=silently)

    def part(self, name: str) -> "Context":
        """The same for a part of the run, such as one batch of a stream: how far it is, is told by its name."""

        def show(items: Iterable[Any], inner: str, total: int | None = None) -> Iterable[Any]:
            return self.show(items, f"{name}: {inner}", total)

        return replace(self, progress=lambda steps: self.show(steps, name, None), show=show)

    def of(self, requests: Sequence[Request], earlier: Sequence[Request] = ()) -> "Context":
        """The same, with the paraphrases and neighbors of these requests only, which follow `earlier` in a stream."""
        request_ids = {request.request_id for request in requests}
        earlier_ids = {request.request_id for request in earlier}
        earlier_paraphrases = [paraphrase for paraphrase in self.paraphrases if paraphrase.request_id in earlier_ids]
        return replace(
            self,
            paraphrases=[paraphrase for paraphrase in self.paraphrases if paraphrase.request_id in request_ids],
            neighbors=[neighbor for neighbor in self.neighbors if neighbor.request_id in request_ids],
            earlier=Earlier(
                requests=[*self.earlier.requests, *earlier],
                paraphrases=[*self.earlier.paraphrases, *earlier_paraphrases],
            ),
        )
