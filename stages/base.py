"""Stage `base`: the unedited model. The tiny one is trained here; a hub model is fetched at its pinned revision."""

import argparse
import sys
from importlib import import_module

from lib.core import params
from lib.core.files import write_json
from lib.core.root import read_root
from lib.core.run import file_options, progress, run_stage


def main(options: argparse.Namespace) -> None:
    """Read params.yaml and the facts; write the model's folder with its manifest."""
    from lib.core.records import Fact, Request
    from lib.core.tables import read
    from lib.models import loading
    from lib.runtime.distributed import process_group, wants_shards
    from lib.runtime.launch import launched, relaunch
    from lib.runtime.machine import device
    from lib.scoring.limits import check_texts

    shards = wants_shards()
    if not launched():
        _make(options)
    if shards:
        relaunch("stages.base", sys.argv[1:])
    with process_group() as processes:
        model = loading.load_model(options.model, device(), processes)
        if processes.is_main:
            requests, pool = read(options.requests, Request), read(options.pool, Fact)
            check_texts(model, loading.load_tokenizer(options.model), requests, pool)
            write_json(options.metrics, {"parameters": sum(parameter.numel() for parameter in model.parameters())})


def _check_editor_preset(editor: str) -> None:
    """Raise InputError where the editor's preset is wrong: at once, not after the base model is trained.

    Imported by name, since no output of this stage depends on an editor, as DVC would be told of an import.
    """
    import_module("lib.editors").check_preset(editor)


def _make(options: argparse.Namespace) -> None:
    from lib.core.records import Fact, Request, Text
    from lib.core.tables import read
    from lib.models.fetching import write_manifest
    from lib.tiny import corpus as tiny_text
    from lib.tiny import model as tiny

    root = read_root("seed")
    _check_editor_preset(root.editor)
    preset = params.preset("models", root.model, params.Model)
    requests, pool = read(options.requests, Request), read(options.pool, Fact)
    options.model.mkdir(parents=True, exist_ok=True)
    if preset.tiny is not None:
        corpus = tiny_text.corpus(requests, pool, read(options.text, Text))
        tiny.make(options.model, corpus, preset.tiny, root.seed, lambda steps: progress(steps, "base: training"))
    write_manifest(options.model, preset)


def parser() -> argparse.ArgumentParser:
    """The stage's options."""
    return file_options(__doc__, "requests", "pool", "text", "model", "metrics")


if __name__ == "__main__":
    run_stage(main, parser())
