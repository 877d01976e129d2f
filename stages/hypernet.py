"""Stage `hypernet`: trains the network that turns gradients into updates, for the editors that have one (mend, ke).

For every other editor it writes an empty marker and loads no model.
"""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lib.core import params
from lib.core.files import rounded, write_json
from lib.core.run import progress, run
from lib.editors import needs
from lib.neighbors.overlap import usable_facts

if TYPE_CHECKING:
    from lib.methods.context import Context


def main() -> None:
    """Read params.yaml, the pool and the model; write the network and the figures of its training."""
    options, named = _options(), params.read_params()
    if not needs(named["editor"]).hypernet:
        write_json(options.hypernet / "hypernet.json", {"editor": None})
        write_json(options.metrics, {"steps": 0})
        return
    write_json(options.metrics, _trained(options, named["editor"], named["model"]))


def _trained(options: argparse.Namespace, editor_name: str, model_name: str) -> dict[str, float | None]:
    # Imported here: most editors have no network and need not wait for these.
    from lib.editors import editor
    from lib.methods.contract import trains_hypernet
    from lib.models.loading import load_model, load_tokenizer
    from lib.runtime.machine import device, peak_memory_mib
    from lib.runtime.scratch import code_fingerprint, fingerprint, forget, scratch

    began = time.perf_counter()
    module = editor(editor_name)
    assert trains_hypernet(module)
    settings = params.editor_preset(editor_name, model_name, module.Settings)
    pool, dropped = usable_facts(options.pool, options.requests)
    key = fingerprint(
        editor=editor_name, settings=settings.model_dump(), code=code_fingerprint("stages.hypernet"), pool=options.pool,
        edits=options.requests, model=options.model,
    )  # fmt: skip
    with scratch("hypernet", key) as folder:
        figures = module.train_hypernet(
            load_model(options.model, device()), load_tokenizer(options.model), pool, settings,
            _context(model_name, folder), options.hypernet,
        )  # fmt: skip
        forget(folder)
    return {
        **{name: rounded(value) for name, value in figures.items()},
        "dropped_facts": dropped,
        "seconds": rounded(time.perf_counter() - began, 1),
        **peak_memory_mib(),
    }


def _context(model: str, folder: Path) -> "Context":
    """Of all this, training a network uses train.micro_batch_tokens and the checkpoints."""
    from lib.methods.context import Context
    from lib.methods.training.loop import Checkpoints
    from lib.runtime.distributed import Distributed

    train = params.section("train", params.Train)
    return Context(
        paraphrases=(),
        neighbors=(),
        lora=params.preset("models", model, params.Model).lora,
        train=train,
        distributed=Distributed(),
        progress=lambda steps: progress(steps, "hypernet: training steps"),
        checkpoints=Checkpoints(folder=folder, every=train.checkpoint_steps),
        record=lambda steps: None,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("requests", "pool", "model", "hypernet", "metrics"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
