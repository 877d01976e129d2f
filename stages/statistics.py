"""Stage `statistics`: second moments of MLP keys over plain text, for locate-then-edit methods.

For an editor that reads none it writes an empty marker and loads no model.
"""

import argparse
import logging
import time
from pathlib import Path

from lib.core import params
from lib.core.files import rounded, write_json
from lib.core.run import progress, run
from lib.editors import needs
from lib.methods.locating.second_moments import drawn_texts

_logger = logging.getLogger(__name__)


def main() -> None:
    """Read params.yaml, the text and the model; write one second moment a layer."""
    options, named = _options(), params.read_params()
    reads = needs(named["editor"]).second_moments
    write_json(options.statistics / "statistics.json", {"editor": named["editor"] if reads else None})
    figures = _gathered(options, named["editor"], named["model"]) if reads else {"layers": 0}
    write_json(options.metrics, figures)


def _gathered(options: argparse.Namespace, editor_name: str, model_name: str) -> dict[str, float | None]:
    # Imported here: most editors read no statistics and need not wait for these.
    from lib.editors import editor
    from lib.methods.contract import reads_moments
    from lib.methods.locating.second_moments import save_moment, second_moments
    from lib.models.architecture import architecture
    from lib.models.loading import load_model, load_tokenizer
    from lib.runtime.machine import device, peak_memory_mib
    from lib.runtime.scratch import code_fingerprint, fingerprint, forget, scratch

    began = time.perf_counter()
    module, settings = editor(editor_name), params.section("statistics", params.Statistics)
    assert reads_moments(module)
    model = load_model(options.model, device())
    layers = module.moment_layers(model, params.editor_preset(editor_name, model_name, module.Settings))
    paths = [architecture(model).mlp_out_of(layer) for layer in layers]
    texts = drawn_texts(settings, options.text)
    key = fingerprint(model=options.model, texts=texts, paths=paths, code=code_fingerprint("stages.statistics"))
    with scratch("statistics", key) as folder:
        moments = second_moments(
            model, load_tokenizer(options.model), texts, paths, settings.micro_batch_tokens, folder,
            lambda parts: progress(parts, "statistics: parts of the text"),
        )  # fmt: skip
        for path, moment in moments.items():
            save_moment(options.statistics, path, moment)
        forget(folder)
    if len(texts) < settings.n_samples:
        _logger.warning(
            "statistics: second moments are of %d texts; statistics.n_samples asks for %d, and there are no more "
            "(facts.extras=[text] takes Wikipedia's, where the dataset's preset has it)",
            len(texts), settings.n_samples,
        )  # fmt: skip
    tokens = next(iter(moments.values())).count if moments else 0
    seconds = rounded(time.perf_counter() - began, 1)
    return {
        "layers": len(layers),
        "texts": len(texts),
        "asked": settings.n_samples,
        "tokens": tokens,
        "seconds": seconds,
        **peak_memory_mib(),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("text", "model", "statistics", "metrics"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
