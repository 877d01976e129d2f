"""Measured values by index that survive a kill: on disk once a minute, and found again by the run that goes on."""

import json
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from lib.core.errors import InputError
from lib.core.files import check_hashes, read_json, replacing_folder, write_hashes

if TYPE_CHECKING:
    from lib.runtime.distributed import Distributed

_SECONDS_BETWEEN_SAVES = 60
_VALUES = "values.json"
_logger = logging.getLogger(__name__)


class Pieces:
    """What has been measured of one piece of work: by index values that JSON holds (tuples come back as lists).

    Every process adds its own; what all of them have stored is found again, also by another number of processes. A
    file that is damaged is passed over, and measured again.
    """

    def __init__(self, folder: Path | None) -> None:
        """`folder` None: nothing is stored."""
        self._folder = folder
        self._values: dict[int, Any] = {}
        self._unsaved: dict[int, Any] = {}
        self._saved = time.monotonic()

    @classmethod
    @contextmanager
    def of(cls, folder: Path | None, name: str, distributed: "Distributed") -> Iterator[Self]:
        """Those of the work `name`, with what was stored; all is stored at the end, and where an error ends it.

        The first process reads for all, since what the others see depends on how far each of them is.
        """
        pieces = cls(None if folder is None else folder / name.replace(" ", "-"))
        pieces._values = distributed.broadcast(pieces._stored(name) if distributed.is_main else {})
        try:
            yield pieces
        finally:
            pieces._save()

    @property
    def values(self) -> Mapping[int, Any]:
        """By index."""
        return self._values

    def add(self, values: Iterable[tuple[int, Any]]) -> None:
        """Indices with their values."""
        new = dict(values)
        self._values |= new
        self._unsaved |= new
        if time.monotonic() - self._saved > _SECONDS_BETWEEN_SAVES:
            self._save()

    def _save(self) -> None:
        self._saved = time.monotonic()
        if self._folder is None or not self._unsaved:
            return
        with replacing_folder(self._folder / uuid4().hex) as unfinished:
            # NaN and infinite values are kept, as they were measured
            (unfinished / _VALUES).write_text(json.dumps(self._unsaved))
            write_hashes(unfinished)
        self._unsaved = {}

    def _stored(self, name: str) -> dict[int, Any]:
        values: dict[int, Any] = {}
        for stored in sorted(self._folder.glob("[!.]*")) if self._folder else ():
            try:
                check_hashes(stored)
                of_file = read_json(stored / _VALUES)
            except (InputError, FileNotFoundError) as error:
                _logger.warning("%s: passed over, and measured again: %s", stored, error)
                continue
            values |= {int(index): value for index, value in of_file.items()}
        if values:
            _logger.info("%s: %d were measured before the run was killed", name, len(values))
        return values
