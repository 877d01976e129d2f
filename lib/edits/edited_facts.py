"""The facts that a checkpoint's weights hold already, in a file beside them: who edits it again holds these, too.

Without the file nobody could know: an edit that is merged into weights is not seen in them.
"""

from collections.abc import Sequence
from pathlib import Path

from lib.core.records import Request
from lib.core.tables import read, write
from lib.models.manifest import weights_folder

EDITED_FACTS = "edited.parquet"


def write_edited_facts(checkpoint: Path, facts: Sequence[Request]) -> None:
    """Note beside the weights in `checkpoint` which facts they hold, with the prompts that these are scored on.

    Args:
        facts: with `train_paraphrases` where they may be held in other words.
    """
    write(checkpoint / EDITED_FACTS, Request, facts)


def edited_facts(base: Path) -> list[Request]:
    """The facts that the model whose manifest is in `base` was edited with before; none where nothing was noted.

    Raises InputError where the file is damaged, FileNotFoundError where the model is not on this machine.
    """
    file = weights_folder(base) / EDITED_FACTS
    return read(file, Request) if file.is_file() else []
