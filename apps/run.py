"""Run the pipeline in this repository, and print the result: `python -m apps.run`.

What `dvc repro` and then `python -m apps.result` do, with the time that is left. On a CPU with two cores, what needs no
edit runs beside training, and what needs no scores beside scoring. What they print is kept in .scratch/errata.log.
"""

import argparse
import signal
import sys
from collections.abc import Mapping

from rich.console import Console

from apps import result
from apps.pipeline import repro
from lib.core.errors import InputError
from lib.core.files import read_json
from lib.core.params import PRESETS, ROOT, read_params
from lib.core.run import run
from lib.handover.stages import in_words

LOG = ".scratch/errata.log"
_TINY = "tiny"


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what it has started ends with it
    console = Console()
    repro(ROOT, estimates(console), console, one_by_one=options.one_by_one, log=LOG)
    result.main()


def estimates(console: Console) -> Mapping[str, float]:
    """Seconds of every stage: of the last run here, else as `errata fix` estimates them, and prints; {}: not known."""
    files = {path.stem: path for path in (ROOT / "metrics" / "usage").glob("*.json")}
    if files:
        files["report"] = ROOT / "report" / "usage.json"
        return {name: float(read_json(path)["seconds"]) for name, path in files.items() if path.is_file()}
    values = read_params()
    limit = values["facts"]["limit"]
    if limit == "auto":
        limit = read_params(PRESETS / "datasets" / f"{values['dataset']}.yaml").get("limit")
    return first_estimates(values["model"], limit, console) if isinstance(limit, int) else {}


def first_estimates(model: str, facts: int, console: Console) -> Mapping[str, float]:
    """Seconds of every stage of a model that has not run here; where it cannot be fetched, stage `base` says why."""
    from lib.handover.bases import base_of, named_model  # here: torch takes seconds, and later runs need none of it
    from lib.handover.estimates import model_shape, stage_seconds
    from lib.runtime.machine import device

    named = named_model(model)
    if named.preset.source == _TINY:
        return {}
    try:
        shape = model_shape(base_of(named), named.preset)
    except (InputError, OSError):
        return {}
    seconds, source = stage_seconds(model, facts, shape, device(), [])
    console.print(f"about {in_words(sum(seconds.values()))} ({source})")
    return seconds


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--one-by-one", action="store_true", help="run no stage beside another, as on a GPU; slower, with less memory"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
