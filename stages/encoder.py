"""Stage `encoder`: sentence encoders that later stages compute with, fetched where they are not on this machine."""

import argparse
from pathlib import Path

from lib.core.files import write_json
from lib.core.params import PRESETS, Neighbors, read_params, section
from lib.core.run import run
from lib.neighbors.fetching import encoders_in_use, fetch


def main() -> None:
    """Read params.yaml and the editor's preset; write which encoders there are, and what pins each."""
    options, names = _options(), read_params()
    preset = PRESETS / "editors" / f"{names['editor']}.yaml"
    editor = read_params(preset) if preset.is_file() else {}
    in_use = encoders_in_use(section("neighbors", Neighbors), editor, names["model"])
    write_json(options.encoder / "manifest.json", {name: fetch(name) for name in in_use})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
