"""Stage `frequencies`: how much each word weighs when texts are compared (consistency).

Fitted on the dataset's plain text and the edits' references; or, where frequencies.folder is given, the published ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lib.core.files import write_json
from lib.core.records import Request, Text
from lib.core.root import read_root
from lib.core.run import file_options, run_stage
from lib.core.tables import read

if TYPE_CHECKING:
    from lib.metrics.consistency import WordWeights

IDF, VOCABULARY = "idf.npy", "tfidf_vocab.json"
"""As the ROME release's files are called."""


def main(options: argparse.Namespace) -> None:
    """Read params.yaml and the texts; write the inverse document frequencies of their words."""
    from lib.metrics import consistency

    folder = read_root().frequencies.folder
    if folder is None:
        references = (text for request in read(options.requests, Request) for text in request.references)
        texts = list(dict.fromkeys([*references, *(row.text for row in read(options.text, Text))]))
        frequencies = consistency.fit(texts)
    else:
        texts = []
        frequencies = _published(Path(folder))
    consistency.write(options.frequencies, frequencies)
    write_json(
        options.metrics,
        {
            "source": "fitted" if folder is None else "published",
            "texts": len(texts),
            "words": len(frequencies.words),
        },
    )


def _published(folder: Path) -> WordWeights:
    from lib.metrics import consistency

    for name in (IDF, VOCABULARY):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder}: wanted {IDF} and {VOCABULARY} of the ROME release; {name} is not there. Put them there, or "
                "set frequencies.folder to null to have the dataset's own texts counted"
            )
    return consistency.published(folder / IDF, folder / VOCABULARY)


def parser() -> argparse.ArgumentParser:
    """The stage's options."""
    return file_options(__doc__, "requests", "text", "frequencies", "metrics")


if __name__ == "__main__":
    run_stage(main, parser())
