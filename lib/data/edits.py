"""One check of the edits of any dataset: an edit that cannot be made, or that another one contradicts, is a reject.

Prompts, subjects and targets are compared by their words (lib.core.texts). Of two edits that contradict each other
neither is made: no rule says which is right.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

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
    check = _Check(lines=loaded.lines)
    sound = [request for request in _with_subjects(loaded.requests, check) if _changes_something(request, check)]
    sound = _without_contradictions(sound, check)
    sound = _without_duplicates(sound, check)
    rejects = sorted([*loaded.rejects, *check.rejects], key=lambda reject: (reject.file, reject.line))
    return CheckedEdits(
        loaded=replace(loaded, requests=sound, rejects=rejects if check.rejects else loaded.rejects),
        faults=check.faults,
        subjects_repeated=_note_repeated(sound),
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


def _note_repeated(requests: Sequence[Request]) -> int:
    """Log which of several occurrences of a subject are taken; return the number of edits that have several."""
    repeated = [request for request in requests if request.subject and request.prompt.count(request.subject) > 1]
    for request in repeated[:_NAMED]:
        times = request.prompt.count(request.subject or "")
        _logger.info(
            f"edit {request.request_id!r}: {request.subject!r} stands {times} times in {request.prompt!r}; "
            f"editors that write at the subject take the one at character {request.subject_start}"
        )
    if len(repeated) > _NAMED:
        _logger.info(f"{len(repeated)} edits have their subject more than once in the prompt, these among them")
    return len(repeated)
