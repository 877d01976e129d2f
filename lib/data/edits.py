"""One check of the edits of any dataset: an edit that cannot be made, or that another one contradicts, is a reject.

Prompts, subjects and targets are compared by their words (lib.core.texts). Of two edits that contradict each other
neither is made: no rule says which is right.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from lib.core.params import Facts
from lib.core.records import FOUND, Reject, Request
from lib.core.texts import identity, occurrences, same
from lib.data.dataset import DUPLICATE, Loaded, template
from lib.data.rows import shown

Fault = Literal["subjects_absent", "same_targets", "contradictions", "duplicates"]
FAULTS: tuple[Fault, ...] = ("subjects_absent", "same_targets", "contradictions", "duplicates")
_NAMED = 3
"""So many other rows, or edits with several subjects, are named."""
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class CheckedEdits:
    """A dataset whose edits can be made together, and how many of each fault were taken out."""

    loaded: Loaded
    faults: Mapping[str, int]
    subjects_repeated: int
    """Edits whose subject stands in the prompt more than once; of whole words the first is taken."""

    @property
    def records(self) -> int:
        """So many were read as edits."""
        return len(self.loaded.requests) + sum(self.faults.values())


@dataclass(kw_only=True)
class _Check:
    """The edits of one dataset as they are looked through."""

    lines: Mapping[str, tuple[str, int]]
    rejects: list[Reject] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FAULTS, 0))

    def reject(self, request: Request, fault: Fault, column: str, reason: str) -> None:
        file, line = self.where(request)
        self.rejects.append(Reject(file=file, line=line, field=column, reason=reason))
        self.faults[fault] += 1

    def where(self, request: Request) -> tuple[str, int]:
        """File and line; of an edit that is from no file the dataset, and line 0."""
        return self.lines.get(request.request_id, (request.dataset, 0))

    def named(self, requests: Iterable[Request]) -> str:
        """Other edits with their targets, in words."""
        first = list(requests)[:_NAMED]
        return " and ".join(f"{shown(edit.target_new)} on line {self.where(edit)[1]}" for edit in first)


def checked(loaded: Loaded) -> CheckedEdits:
    """The dataset without the edits that have a fault, each of which is a reject."""
    sound = _sound(loaded)
    _tell_repeated(sound.loaded.requests)
    return sound


def checked_in_full(load: Callable[[Facts], Loaded], facts: Facts) -> CheckedEdits:
    """The same, with facts.limit edits: for each that has a fault the next record is read, while there is one.

    Args:
        load: reads the dataset with these settings.
        facts: the section of params.yaml; its limit is the number of edits, None all that have no fault.
    """
    sound, limit = _sound(load(facts)), facts.edits
    while limit is not None and (missing := limit - len(sound.loaded.requests)) > 0:
        wider = _sound(load(facts.model_copy(update={"limit": limit + sum(sound.faults.values())})))
        if wider.records == sound.records:
            _logger.info("facts.limit=%d: %d edits fewer, no record is left for them", limit, missing)
            break
        sound = wider
    _tell_repeated(sound.loaded.requests)
    return sound


def _sound(loaded: Loaded) -> CheckedEdits:
    check = _Check(lines=loaded.lines)
    sound = [request for request in _with_subjects(loaded.requests, check) if _changes_something(request, check)]
    sound = _without_contradictions(sound, check)
    sound = _without_duplicates(sound, check)
    rejects = sorted([*loaded.rejects, *check.rejects], key=lambda reject: (reject.file, reject.line))
    return CheckedEdits(
        loaded=replace(loaded, requests=sound, rejects=rejects if check.rejects else loaded.rejects),
        faults=check.faults,
        subjects_repeated=len(_repeated(sound)),
    )


def _with_subjects(requests: Sequence[Request], check: _Check) -> Iterator[Request]:
    """The edits whose prompt has their subject, which is spelled as there."""
    for request in requests:
        subject = request.subject and _spelled(request.prompt, request.subject)
        if request.subject and not subject:
            expected = "wanted the subject in the prompt, as it is written there"
            reason = f"{expected}{FOUND}{shown(request.subject)} and {shown(request.prompt)}"
            check.reject(request, "subjects_absent", "subject", reason)
        elif subject == request.subject:
            yield request
        elif subject:
            yield replace(request, subject=subject, template=request.template or template(request.prompt, subject))


def _spelled(prompt: str, subject: str) -> str | None:
    """The subject as the prompt spells it: in its case and spaces; None where it does not have it."""
    if subject in prompt:
        return subject
    spelled = re.search(r"\s+".join(map(re.escape, subject.split())), prompt, re.IGNORECASE)
    return spelled[0] if spelled and occurrences(prompt, spelled[0]) else None


def _changes_something(request: Request, check: _Check) -> bool:
    if request.target_true is None or not same(request.target_new, request.target_true):
        return True
    expected = "wanted a new target that is not the true one"
    reason = f"{expected}{FOUND}{shown(request.target_new)} and {shown(request.target_true)}"
    check.reject(request, "same_targets", "target_new", reason)
    return False


def _without_contradictions(requests: Sequence[Request], check: _Check) -> list[Request]:
    """The edits that no other gives another target to: of the same prompt, or of the same subject and relation."""
    questions = [_questions(request) for request in requests]
    of_question: dict[tuple[str, ...], list[Request]] = defaultdict(list)
    for request, of_request in zip(requests, questions, strict=True):
        for question in of_request:
            of_question[question].append(request)
    sound = []
    for request, of_request in zip(requests, questions, strict=True):
        same_question = {edit.request_id: edit for question in of_request for edit in of_question[question]}
        rivals = [edit for edit in same_question.values() if not same(edit.target_new, request.target_new)]
        if not rivals:
            sound.append(request)
            continue
        expected = "wanted one target for a prompt, or for a subject and its relation"
        reason = f"{expected}{FOUND}{shown(request.target_new)} here, {check.named(rivals)}"
        check.reject(request, "contradictions", "target_new", reason)
    return sound


def _questions(request: Request) -> list[tuple[str, ...]]:
    """What an edit answers: its prompt, and its subject with its relation where both are named."""
    prompt = (identity(request.prompt),)
    if not request.subject or not request.relation:
        return [prompt]
    return [prompt, (identity(request.subject), request.relation)]


def _without_duplicates(requests: Sequence[Request], check: _Check) -> list[Request]:
    """The first of the edits that have the same prompt, and so the same target."""
    first: dict[str, Request] = {}
    for request in requests:
        earlier = first.setdefault(identity(request.prompt), request)
        if earlier is not request:
            check.reject(
                request, "duplicates", "prompt", f"{DUPLICATE}{FOUND}the edit of line {check.where(earlier)[1]}"
            )
    return list(first.values())


def _repeated(requests: Sequence[Request]) -> list[Request]:
    """The edits whose subject stands in the prompt more than once."""
    return [request for request in requests if request.subject and request.prompt.count(request.subject) > 1]


def _tell_repeated(requests: Sequence[Request]) -> None:
    """Log which of several occurrences of a subject are taken."""
    repeated = _repeated(requests)
    for request in repeated[:_NAMED]:
        times = request.prompt.count(request.subject or "")
        _logger.info(
            f"edit {request.request_id!r}: {request.subject!r} stands {times} times in {request.prompt!r}; "
            f"editors that write at the subject take the one at character {request.subject_start}"
        )
    if len(repeated) > _NAMED:
        _logger.info(f"{len(repeated)} edits have their subject more than once in the prompt, these among them")
