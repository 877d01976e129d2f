"""The folders that `errata` has written for this user, so that a command without a folder takes the latest."""

from pathlib import Path

from lib.core import cache
from lib.core.errors import InputError
from lib.core.files import read_json, write_json
from lib.handover.bundle import Bundle

_FILE = "edits.json"
_REMEDY = "Remove it: your edits stay where they are; name the folder of the one that you mean."


def bundles() -> list[Bundle]:
    """Those that are still there, the latest last. Raises InputError where the list of them is damaged."""
    path = cache.cache_folder() / _FILE
    folders = _folders(path) if path.is_file() else []
    try:
        return [bundle for folder in folders if (bundle := Bundle(folder=Path(folder))).exists()]
    except OSError as error:  # a name that is too long, or a folder that may not be looked into
        raise InputError(
            f"{path}: wanted folders; found one that none can be in ({error.strerror}). {_REMEDY}"
        ) from error


def _folders(path: Path) -> list[str]:
    """Those that the file lists. Raises InputError where it is damaged."""
    values = read_json(path, _REMEDY)
    folders = values.get("folders") if isinstance(values, dict) else None
    if not isinstance(folders, list) or not all(isinstance(folder, str) and "\0" not in folder for folder in folders):
        raise InputError(f"{path}: wanted a list of folders; found another content. {_REMEDY}")
    return folders


def remember(bundle: Bundle) -> None:
    """Make it the latest."""
    folder = str(bundle.folder.resolve())
    earlier_folders = [str(earlier.folder) for earlier in bundles() if str(earlier.folder) != folder]
    write_json(cache.cache_folder() / _FILE, {"folders": [*earlier_folders, folder]})


def latest() -> Bundle | None:
    """The last that was written and is still there."""
    return next(reversed(bundles()), None)


def bundle_at(folder: Path | None) -> Bundle:
    """The bundle of a folder; without one, the latest. Raises InputError where there is none."""
    bundle = latest() if folder is None else Bundle(folder=folder)
    if bundle is None:
        raise InputError(
            "wanted an edit; found none of yours on this machine. Make one: errata fix FACTS --model NAME --to FOLDER"
        )
    bundle.check()
    return bundle
