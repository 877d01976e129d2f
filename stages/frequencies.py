"""Stage `frequencies`: how much each word weighs when texts are compared (consistency).

Fitted on the dataset's plain text and the edits' references; or, where frequencies.folder is given, the published ones.
"""

import argparse
import time
from pathlib import Path

from lib.core import params
from lib.core.files import rounded, write_json
from lib.core.records import Request, Text
from lib.core.run import run
from lib.core.tables import read
from lib.metrics import consistency

IDF, VOCABULARY = "idf.npy", "tfidf_vocab.json"
"""As the ROME release's files are called."""


def main() -> None:
    """Read params.yaml and the texts; write the inverse document frequencies of their words."""
    options = _options()
    began = time.perf_counter()
    folder = params.section("frequencies", params.Frequencies).folder
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
            "seconds": rounded(time.perf_counter() - began, 1),
        },
    )


def _published(folder: Path) -> consistency.Frequencies:
    for name in (IDF, VOCABULARY):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder}: wanted {IDF} and {VOCABULARY} of the ROME release; {name} is not there. Put them there, or "
                "set frequencies.folder to null to have the dataset's own texts counted"
            )
    return consistency.published(folder / IDF, folder / VOCABULARY)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("requests", "text", "frequencies", "metrics"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
