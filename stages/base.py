"""Stage `base`: the unedited model. The tiny one is trained here; a hub model is fetched at its pinned revision."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lib.core import params
from lib.core.files import rounded, write_json
from lib.core.records import Fact, Request, Text
from lib.core.root import read_root
from lib.core.run import progress, run
from lib.core.tables import read
from lib.models import loading
from lib.models.fetching import write_manifest
from lib.runtime.distributed import process_group, wants_shards
from lib.runtime.launch import launched, relaunch
from lib.runtime.machine import device
from lib.tiny import corpus as tiny_text
from lib.tiny import model as tiny


def main() -> None:
    """Read params.yaml and the facts; write the model's folder with its manifest."""
    options, shards = _options(), wants_shards()
    began = time.perf_counter()
    if not launched():
        _make(options, read(options.requests, Request), read(options.pool, Fact))
    if shards:
        relaunch("stages.base", sys.argv[1:])
    with process_group() as processes:
        model = loading.load_model(options.model, device(), processes)
        if processes.is_main:
            write_json(
                options.metrics,
                {
                    "parameters": sum(parameter.numel() for parameter in model.parameters()),
                    "seconds": rounded(time.perf_counter() - began, 1),
                },
            )


def _make(options: argparse.Namespace, requests: Sequence[Request], pool: Sequence[Fact]) -> None:
    root = read_root()
    preset = params.preset("models", root.model, params.Model)
    options.model.mkdir(parents=True, exist_ok=True)
    if preset.tiny is not None:
        corpus = tiny_text.corpus(requests, pool, read(options.text, Text))
        tiny.make(options.model, corpus, preset.tiny, root.seed, lambda steps: progress(steps, "base: training"))
    write_manifest(options.model, preset)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("requests", "pool", "text", "model", "metrics"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
