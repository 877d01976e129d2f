"""Stage `encoder`: sentence encoders that later stages compute with, fetched where they are not on this machine."""

import argparse

from lib.core import params
from lib.core.editor_presets import shape_name
from lib.core.files import write_json
from lib.core.params import PRESETS
from lib.core.root import read_root
from lib.core.run import file_options, run_stage
from lib.neighbors.fetching import encoders_in_use, fetch


def main(options: argparse.Namespace) -> None:
    """Read params.yaml and the editor's preset; write which encoders there are, and what pins each."""
    root = read_root()
    preset = PRESETS / "editors" / f"{root.editor}.yaml"
    editor = params.read_params(preset) if preset.is_file() else {}
    model = params.preset("models", root.model, params.Model)
    tiny, held = model.tiny, model.train.held
    shape = shape_name("llama", tiny.layers, tiny.hidden) if tiny else None
    is_held = root.editor == "lora" and params.with_recipe(root.train, model.train).objective == "held"
    keywords = is_held and held is not None and held.keywords > 0
    in_use = encoders_in_use(root.neighbors, editor, shape, keywords=keywords, scope=root.scope.encoder)
    write_json(options.encoder / "manifest.json", {name: fetch(name) for name in in_use})


def parser() -> argparse.ArgumentParser:
    """The stage's options."""
    return file_options(__doc__, "encoder")


if __name__ == "__main__":
    run_stage(main, parser())
