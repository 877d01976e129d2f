"""Run by test_scoring under torchrun: the same scoring as there, in as many processes as there are."""

import json
import sys
from pathlib import Path

from lib.runtime.distributed import process_group
from tests.lib.scoring.test_scorer import edit, plain, scorer

if __name__ == "__main__":
    with process_group() as processes:
        small_scorer = scorer(processes)
        tables = [plain(small_scorer.before().tables), plain(small_scorer.after(edit(), session=5))]
        if processes.is_main:
            Path(sys.argv[1]).write_text(json.dumps(tables))
