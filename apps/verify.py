"""Whether an edit that was handed over does here what it did where it was made: `errata verify`, `errata reproduce`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from apps.fix import made
from apps.outcome import plain
from lib.core.errors import InputError
from lib.core.records import Request
from lib.core.run import progress
from lib.core.tables import read
from lib.edits.store import digests, load_edit
from lib.handover.bases import NamedModel, present_base
from lib.handover.bundle import Bundle, RunInfo
from lib.handover.facts import loaded_facts
from lib.handover.judging import Difference, ScoreFiles, difference, judged, rescore
from lib.metrics.verdict import verdict
from lib.models.loading import load_model, load_tokenizer
from lib.runtime.machine import device

TOLERANCE = 1e-3
"""Nats a token by which a likelihood may differ on another machine."""
_TOLD = 5


def verify(bundle: Bundle, model: Path | None, console: Console) -> dict[str, Any]:
    """Score the edit again on this machine, and compare every text and likelihood with those that came with it.

    Args:
        model: a folder with the edited model, where it is not at the place or on the hub that the edit names.

    Raises InputError where the model is another than the edited one.
    """
    info, came = bundle.info(), ScoreFiles(folder=bundle.scores)
    base = present_base(bundle.base, info.preset, model)
    with TemporaryDirectory() as folder:
        rescored = ScoreFiles(folder=Path(folder))
        rescore(
            came, rescored, load_edit(bundle.folder), load_model(base, device()), load_tokenizer(base), info.scoring,
            shown_progress("verify"),
        )  # fmt: skip
        unlike, word = difference(came, rescored), verdict(judged(came, rescored)).word
    return _told(unlike, verdict(info.headline).word, word, console)


def reproduce(bundle: Bundle, console: Console) -> dict[str, Any]:
    """Make the edit again from its facts and settings, nothing taken from an earlier run, and compare the two.

    Raises InputError where it was not made in one go, or as the stages do.
    """
    info = bundle.info()
    if len(info.sessions) != 1:
        raise InputError(
            f"{bundle.folder}: made by `errata {info.made_by}` in {len(info.sessions)} sessions; wanted an edit made "
            "in one go. `errata verify` scores this one again"
        )
    with TemporaryDirectory() as folder:
        remade = Bundle(folder=Path(folder))
        requests = read_facts(bundle)
        made(remade, requests, named_of(info), info.settings, info.made_by, console, from_cache=False, is_kept=False)
        same = digests(bundle.folder) == digests(remade.folder)
        console.print(f"the edit is {'the same, to the bit' if same else 'not the same'}")
        files = [ScoreFiles(folder=each.scores) for each in (bundle, remade)]
        words = [verdict(each.info().headline).word for each in (bundle, remade)]
        return {"same_weights": same, **_told(difference(*files), words[0], words[1], console)}


def _told(unlike: Difference, word: str, word_here: str, console: Console) -> dict[str, Any]:
    is_equal = unlike.equal(TOLERANCE) and word == word_here
    console.print(
        f"{'equal' if is_equal else 'NOT equal'}: {unlike.texts - len(unlike.different_texts)} of {unlike.texts} texts "
        f"are the same to the letter; {unlike.scores} likelihoods differ by at most {unlike.largest_nll:.2g} nats a "
        f"token (limit {TOLERANCE:g}); verdict {word!r}, here {word_here!r}",
        soft_wrap=True,
    )
    for prompt, came, here_text in unlike.different_texts[:_TOLD]:
        console.print(f"  {plain(prompt)}: came as {plain(came)!r}, is here {plain(here_text)!r}", soft_wrap=True)
    return {"equal": is_equal, "ok": is_equal, "verdict": word, "verdict_again": word_here, **asdict(unlike)}


def read_facts(bundle: Bundle) -> list[Request]:
    """The facts of an edit as they were given: without the prompts that the pipeline wrote to score them."""
    return loaded_facts(bundle.facts).requests


def scored_requests(bundle: Bundle) -> list[Request]:
    """The facts of an edit with the prompts that they are scored on."""
    return read(ScoreFiles(folder=bundle.scores).requests, Request)


def named_of(info: RunInfo) -> NamedModel:
    """The model that was edited, under the name of its preset."""
    return NamedModel(name=str(info.params["model"]), values=info.model)


def shown_progress(name: str) -> Any:
    """For a Scorer: a bar or lines for each piece of work."""

    def with_progress(batches: Sequence[list[int]], work: str) -> Any:
        return progress(batches, f"{name}: {work}", size=len)

    return with_progress
