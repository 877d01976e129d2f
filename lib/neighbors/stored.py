"""Whether vectors that an earlier run has left are whole."""

import logging
from pathlib import Path

import numpy as np


def is_sound(file: Path) -> bool:
    """Whether the file holds vectors, whole; one that is damaged is told."""
    try:
        return file.is_file() and np.load(file, mmap_mode="r").ndim == 2
    except (ValueError, OSError, EOFError) as error:
        logging.getLogger(__name__).warning("%s: damaged (%s); its texts are encoded again", file, error)
        return False
