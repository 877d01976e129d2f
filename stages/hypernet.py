"""Stage `hypernet`: trains the network that makes updates of gradients, for editors that have one (mend, ke, rledit).

For every other editor it writes an empty marker and loads no model.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lib.core import params
from lib.core.editor_presets import editor_preset, explained
from lib.core.files import rounded, write_json
from lib.core.root import Params, read_root
from lib.core.run import file_options, progress, run_stage
from lib.editors import needs

if TYPE_CHECKING:
    from lib.methods.context import Context
    from lib.runtime.distributed import Distributed


def main(options: argparse.Namespace) -> None:
    """Read params.yaml, the pool and the model; write the network and the figures of its training."""
    root = read_root()
    if not needs(root.editor).hypernet:
        write_json(options.hypernet / "hypernet.json", {"editor": None})
        write_json(options.metrics, {"steps": 0})
        return
    from lib.runtime.distributed import process_group
    from lib.runtime.launch import relaunch

    relaunch("stages.hypernet", sys.argv[1:])
    with process_group() as processes:
        figures = _trained(options, root, processes)
        if processes.is_main:
            write_json(options.metrics, figures)


def _trained(options: argparse.Namespace, root: Params, processes: Distributed) -> dict[str, float | None]:
    # Imported here: most editors have no network and need not wait for these.
    import torch

    from lib.editors import editor
    from lib.methods.contract import trains_hypernet
    from lib.models.architecture import shape
    from lib.models.loading import load_model, load_tokenizer
    from lib.neighbors.overlap import usable_facts
    from lib.runtime.machine import device
    from lib.runtime.scratch import code_fingerprint, fingerprint, forget, shared_scratch

    module = editor(root.editor)
    assert trains_hypernet(module)
    model = load_model(options.model, device(), dtype=torch.float32)
    settings = editor_preset(root.editor, shape(model.config), module.Settings)
    for line in explained(root.editor, shape(model.config)):
        logging.getLogger(__name__).info(line)
    pool, dropped = usable_facts(options.pool, options.requests)
    key = fingerprint(
        editor=root.editor, settings=settings.model_dump(), code=code_fingerprint("stages.hypernet"), pool=options.pool,
        edits=options.requests, model=options.model,
    )  # fmt: skip
    with shared_scratch("hypernet", key, processes) as folder:
        figures = module.train_hypernet(
            model, load_tokenizer(options.model), pool, settings,
            _context(root, folder, processes), options.hypernet,
        )  # fmt: skip
        if processes.is_main:
            forget(folder)
    return {**{name: rounded(value) for name, value in figures.items()}, "dropped_facts": dropped}


def _context(root: Params, folder: Path, processes: Distributed) -> Context:
    """Of all this, training a network uses train.micro_batch_tokens and the checkpoints."""
    from lib.methods.context import Context
    from lib.methods.training.loop import Checkpoints

    return Context(
        paraphrases=(),
        neighbors=(),
        lora=params.preset("models", root.model, params.Model).lora,
        train=root.train,
        distributed=processes,
        progress=lambda steps: progress(steps, "hypernet: training steps"),
        checkpoints=Checkpoints(folder=folder, every=root.train.checkpoint_steps),
        record=lambda steps: None,
    )


def parser() -> argparse.ArgumentParser:
    """The stage's options."""
    return file_options(__doc__, "requests", "pool", "model", "hypernet", "metrics")


if __name__ == "__main__":
    run_stage(main, parser())
