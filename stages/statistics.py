"""Stage `statistics`: second moments of MLP keys over plain text, for locate-then-edit methods.

For an editor that reads none it writes an empty marker and loads no model.
"""

import argparse
import logging
from dataclasses import replace

from lib.core.editor_presets import editor_preset, explained
from lib.core.files import write_json
from lib.core.root import Params, read_root
from lib.core.run import file_options, progress, run_stage
from lib.editors import needs

_logger = logging.getLogger(__name__)


def main(options: argparse.Namespace) -> None:
    """Read params.yaml, the text and the model; write one second moment a layer."""
    root = read_root("statistics")
    reads = needs(root.editor).second_moments
    write_json(options.statistics / "statistics.json", {"editor": root.editor if reads else None})
    write_json(options.metrics, _gathered(options, root) if reads else {"layers": 0})


def _gathered(options: argparse.Namespace, root: Params) -> dict[str, int]:
    # Imported here: most editors read no statistics and need not wait for these.
    import torch

    from lib.editors import editor
    from lib.methods.contract import derives, reads_moments
    from lib.methods.locating.second_moments import drawn_texts, save_moment, second_moments
    from lib.models.architecture import architecture, shape
    from lib.models.loading import load_model, load_tokenizer
    from lib.runtime.machine import device
    from lib.runtime.scratch import code_fingerprint, fingerprint, forget, scratch

    module, settings = editor(root.editor), root.statistics
    assert reads_moments(module)
    model = load_model(options.model, device(), dtype=torch.float32)
    preset = editor_preset(root.editor, shape(model.config), module.Settings)
    layers = module.moment_layers(model, preset)
    for line in explained(root.editor, shape(model.config)):
        _logger.info(line)
    _logger.info("statistics: second moments of layers %s", ", ".join(map(str, layers)) or "none")
    paths = [architecture(model).mlp_out_of(layer) for layer in layers]
    texts = drawn_texts(settings, options.text)
    key = fingerprint(model=options.model, texts=texts, paths=paths, code=code_fingerprint("stages.statistics"))
    with scratch("statistics", key) as folder:
        moments = second_moments(
            model, load_tokenizer(options.model), texts, paths, settings.micro_batch_tokens, folder,
            lambda parts: progress(parts, "statistics: parts of the text"),
        )  # fmt: skip
        for path, moment in moments.items():
            derived = module.derive(moment.moment.to(model.device), preset) if derives(module) else {}
            save_moment(options.statistics, path, replace(moment, derived=derived))
        forget(folder)
    if len(texts) < settings.n_samples:
        _logger.warning(
            "statistics: second moments are of %d texts; statistics.n_samples asks for %d, and there are no more "
            "(facts.extras=[text] takes Wikipedia's, where the dataset's preset has it)",
            len(texts), settings.n_samples,
        )  # fmt: skip
    tokens = next(iter(moments.values())).count if moments else 0
    return {"layers": len(layers), "texts": len(texts), "asked": settings.n_samples, "tokens": tokens}


def parser() -> argparse.ArgumentParser:
    """The stage's options."""
    return file_options(__doc__, "text", "model", "statistics", "metrics")


if __name__ == "__main__":
    run_stage(main, parser())
