"""Tensors in safetensors files: written whole or not at all; a damaged file is an error that names it."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from lib.core.errors import reading, writing
from lib.core.files import REPRODUCE, check_regular, put_in_place

CONTENT = "tensors in safetensors format"
REMOVE = "Remove it: the work starts anew."
"""What to do about a damaged checkpoint."""


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors by name, with texts by name as the file's metadata.

    Raises OSError where the operating system refuses to write, as on a full disk.
    """
    unfinished = path.with_name(f".{path.name}.unfinished")  # a folder: safetensors begins with a file of a random name
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        with saving(path):
            save_file(dict(tensors), unfinished / path.name, metadata=dict(metadata) if metadata else None)
            put_in_place(unfinished / path.name, path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@contextmanager
def saving(path: Path) -> Iterator[None]:
    """Within it, what the operating system refuses is an OSError that names `path`.

    safetensors and tokenizers have it as text, in errors of their own.
    """
    with writing(path):
        try:
            yield
        except OSError:
            raise
        except Exception as error:  # tokenizers has no narrower class
            if (number := re.search(r"\(os error (\d+)\)", str(error))) is None:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error


def load_tensors(path: Path, remedy: str = REPRODUCE) -> dict[str, Tensor]:
    """The tensors of a file, by name. Raises InputError with `remedy`, a sentence, where the file is damaged."""
    check_regular(path)
    with reading(path, CONTENT, remedy, SafetensorError):
        tensors: dict[str, Tensor] = load_file(path)
    return tensors


@contextmanager
def open_tensors(path: Path, remedy: str = REPRODUCE, device: str = "cpu") -> Iterator[Any]:
    """A safetensors file to read single tensors and the metadata from, onto `device`.

    Raises InputError with `remedy`, a sentence, where the file is damaged.
    """
    check_regular(path)
    with reading(path, CONTENT, remedy, SafetensorError), safe_open(path, framework="pt", device=device) as stored:
        yield stored
