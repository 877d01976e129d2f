"""Files of other revisions: of a DVC experiment, a branch, a tag, a commit, or as they lie in the workspace."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from dvc.api import DVCFileSystem
from dvc.exceptions import DvcException
from scmrepo.exceptions import SCMError

WORKSPACE = "workspace"
"""The name of the files as they lie here."""


@contextmanager
def fetched(root: Path, revision: str, path: str) -> Iterator[Path]:
    """Within it, a copy of the file `path` of that revision of the repository `root`.

    Raises FileNotFoundError where it is neither in git nor in the workspace, DVC's cache or the remote.
    """
    with TemporaryDirectory() as folder:
        local = Path(folder) / Path(path).name
        try:
            files = DVCFileSystem(str(root), rev=None if revision == WORKSPACE else revision)
            files.get_file(path, str(local))
        except (DvcException, SCMError, OSError) as error:
            raise FileNotFoundError(
                f"{path} of {revision!r}: wanted in the workspace, DVC's cache or the remote; found: {error}. Is this "
                "a revision that ran (`dvc exp show`)? `dvc pull`, or run it again"
            ) from error
        yield local
