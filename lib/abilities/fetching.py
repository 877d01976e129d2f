"""The files of the ability tasks, downloaded and put into the form in which `documents` reads them."""

import fnmatch
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from lib.abilities.documents import documents, plain_rows, rows
from lib.core.errors import InputError, reading
from lib.core.files import replacing
from lib.core.presets import SourceFile
from lib.core.section import Section
from lib.data.archives import DAMAGE, check_bounds
from lib.data.sources import resolve
from lib.data.wheels import REMEDY


class TaskFile(Section):
    """Where the data of one ability task comes from: configs/task_files/<name>.yaml, which `apps.tasks` reads."""

    file: str = Field(min_length=1, description="its name in abilities.folder")
    reader: str = Field(description="the function of lib/abilities/documents.py that reads it")
    records: int = Field(ge=1, description="records that it has as published; of a CoNLL file sentences")
    terms: str = Field(description="terms of use; apps.tasks prints them, and accepts none for you")
    source: SourceFile | None = Field(description="what is downloaded; null = there is no open way")
    convert: Literal["none", "member", "table", "lines"] = Field(
        description="none: the download is the file; member: a file of the zip archive; table: that, tabs parting its "
        "columns, as a JSON array; lines: files of the archive, one JSON object each, as JSON Lines"
    )
    member: str | None = Field(description="of the zip archive: a path in it, or for lines a pattern of paths")
    by_hand: str | None = Field(description="where to get it otherwise")


def fetch(task: TaskFile, folder: Path) -> Path:
    """Put the task's file into `folder`; a download that the cache has is not made again.

    Raises FileNotFoundError where no mirror gives it, InputError where it is not what was wanted.
    """
    if task.source is None:
        raise FileNotFoundError(f"{task.file}: there is no open way to it: {task.by_hand}")
    source = resolve({"task": task.source}, folder)["task"]
    path = folder / task.file
    if source.path != path:
        with reading(source.path, f"what {task.file} is made of", REMEDY, *DAMAGE):
            content = _CONVERSIONS[task.convert](source.path, task.member or "")
        with replacing(path) as unfinished:
            unfinished.write_bytes(content)
    return path


def count(task: TaskFile, path: Path) -> int:
    """How many records the file has, all of them read as the task reads them.

    Raises InputError naming the first that does not fit.
    """
    records = rows(path)
    documents(records, task.reader, str(path))
    return len(records)


def _whole(download: Path, member: str) -> bytes:
    return download.read_bytes()


def _member(download: Path, member: str) -> bytes:
    """The one file of the archive."""
    contents = _members(download, member)
    if len(contents) != 1:
        raise InputError(f"{download}: wanted one file {member} in the archive; found {', '.join(contents) or 'none'}")
    return next(iter(contents.values()))


def _table(download: Path, member: str) -> bytes:
    """A table of the archive, its first line the names of the columns, none quoted, as a JSON array of objects."""
    names, *rows_of_cells = (cells for _, cells in plain_rows(_member(download, member).decode()))
    return _json([dict(zip(names, cells, strict=True)) for cells in rows_of_cells])


def _lines(download: Path, member: str) -> bytes:
    """Every matching file of the archive, a JSON object, as a line, in the order of the numbers in their names."""
    contents = _members(download, member)
    if not contents:
        raise InputError(f"{download}: wanted files {member} in the archive; found none")
    ordered = sorted(contents, key=lambda name: [int(number) for number in re.findall(r"\d+", Path(name).name)])
    return b"".join(_json(json.loads(contents[name])) for name in ordered)


def _members(download: Path, pattern: str) -> dict[str, bytes]:
    with zipfile.ZipFile(download) as archive:
        entries = [entry for entry in archive.infolist() if fnmatch.fnmatchcase(entry.filename, pattern)]
        check_bounds(download, entries)
        return {entry.filename: archive.read(entry) for entry in entries}


def _json(values: object) -> bytes:
    return f"{json.dumps(values, ensure_ascii=False)}\n".encode()


_CONVERSIONS: Mapping[str, Callable[[Path, str], bytes]] = {
    "none": _whole,
    "member": _member,
    "table": _table,
    "lines": _lines,
}
