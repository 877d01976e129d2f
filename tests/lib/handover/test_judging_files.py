"""A damaged table of a handed-over edit is refused by its file's name."""

from pathlib import Path

import pytest

from lib.core.errors import InputError
from lib.handover.judging import ScoreFiles, judged
from tests.helpers.bundles import small_bundle
from tests.helpers.small import REQUESTS


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    files = ScoreFiles(folder=small_bundle(tmp_path / "edit", REQUESTS[:1], is_latest=False).scores)
    content = files.generations.read_bytes()
    files.generations.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=str(files.generations)):
        judged(files, files)
