"""The facts of two edits as one list: each fact once, under ids that are free."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lib.core.errors import InputError
from lib.core.records import Request
from lib.core.texts import identity, same


@dataclass(frozen=True, kw_only=True)
class Together:
    """The requests of an edit, and those of a later one that it does not have."""

    earlier: Sequence[Request]
    new: Sequence[Request]
    ids: Mapping[str, str]
    """By its id in the later edit the id of each later request here: of one that both have, the earlier edit's."""

    @property
    def requests(self) -> list[Request]:
        """Each request once, the earlier ones first."""
        return [*self.earlier, *self.new]

    @property
    def repeated(self) -> list[str]:
        """Ids of the earlier requests that the later edit has too: its own record of them is left out."""
        new = {request.request_id for request in self.new}
        return [request_id for request_id in self.ids.values() if request_id not in new]


def together(earlier: Sequence[Request], later: Sequence[Request]) -> Together:
    """The requests of two edits as one list.

    Prompts and objects are compared by their words, as lib.data.edits compares those of one file. Raises InputError
    where both change one prompt to different objects.
    """
    by_prompt = {identity(request.prompt): request for request in earlier}
    taken = {request.request_id for request in earlier}
    new: list[Request] = []
    ids: dict[str, str] = {}
    for request in later:
        same_prompt = by_prompt.get(identity(request.prompt))
        if same_prompt is None:
            request_id = _free(request.request_id, taken)
            taken.add(request_id)
            new.append(replace(request, request_id=request_id))
        elif same(same_prompt.target_new, request.target_new):
            request_id = same_prompt.request_id
        else:
            targets = f"one edit makes it {same_prompt.target_new!r}, the other {request.target_new!r}"
            raise InputError(f"{request.prompt!r}: {targets}")
        ids[request.request_id] = request_id
    return Together(earlier=earlier, new=new, ids=ids)


def _free(first_choice: str, taken: set[str]) -> str:
    request_id, number = first_choice, 1
    while request_id in taken:
        number += 1
        request_id = f"{first_choice}.{number}"
    return request_id
