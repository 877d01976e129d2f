"""Merge an edit into a plain checkpoint: `python -m apps.export --model models/base --edit models/edit --to FOLDER`.

The folder is what transformers (or vLLM) loads without this project: weights, config, tokenizer, generation config. The
merged weights are read back and scored on the edited prompts, beside the edit as it was measured. They are stored in
the dtype that the base stores where that keeps the edit, rounded stochastically where only that does, else in float32;
`--dtype` sets it. There is no command that takes an edit out of such a checkpoint again, since floating-point
subtraction does not give back the same bits: to undo it, use the base model.
"""

import argparse
from pathlib import Path

from lib.core.errors import InputError
from lib.core.records import Request
from lib.core.run import run
from lib.core.tables import read
from lib.edits.store import load_edit, was_dropped
from lib.export.choice import AUTO, DTYPES, export


def main() -> None:
    """Read the model and the edit; write the checkpoint, whole or not at all."""
    options = _options()
    edit = load_edit(options.edit)
    if was_dropped(options.edit):
        raise InputError(
            f"{options.edit}: single edits are made, scored and dropped, so none is there to export; "
            "run with protocol.kind=mass or sequential"
        )
    requests = read(options.requests, Request)[: options.limit] if options.requests.is_file() else []
    form = export(options.model, edit, options.to, options.dtype, requests, print)
    print(f"{options.to}: the edited model in {form}, for AutoModelForCausalLM.from_pretrained({str(options.to)!r})")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/base"), help="folder of stage base")
    parser.add_argument("--edit", type=Path, default=Path("models/edit"), help="folder of stage edit, or a checkpoint")
    parser.add_argument("--to", type=Path, required=True, help="new folder")
    parser.add_argument("--requests", type=Path, default=Path("data/requests.parquet"), help="edits to score it on")
    parser.add_argument("--limit", type=int, default=100, help="of the edits so many are scored, the first ones")
    parser.add_argument(
        "--dtype", choices=DTYPES, default=AUTO, help="of the stored weights; auto: what keeps the edit"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
