"""Where downloads are kept, and what is made of them once: models, encoders, wheels, files of datasets."""

from pathlib import Path

import pooch


def cache_folder() -> Path:
    """The cache of downloads, for all checkouts of this user."""
    return Path(pooch.os_cache("errata"))
