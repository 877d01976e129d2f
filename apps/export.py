"""Merge an edit into a plain checkpoint: `python -m apps.export --model models/base --edit models/edit --to FOLDER`.

The folder is what transformers (or vLLM) loads without this project: weights in the dtype that the base stores,
config, tokenizer, generation config. There is no command that takes an edit out of such a checkpoint again, since
floating-point subtraction does not give back the same bits: to undo it, use the base model.
"""

import argparse
from pathlib import Path

from lib.core.errors import InputError
from lib.core.run import run
from lib.edits.store import load_edit, was_dropped
from lib.export.merge import stored_model, write_merged


def main() -> None:
    """Read the model and the edit; write the checkpoint, whole or not at all."""
    options = _options()
    edit = load_edit(options.edit)
    if was_dropped(options.edit):
        raise InputError(
            f"{options.edit}: single edits are made, scored and dropped, so none is there to export; "
            "run with protocol.kind=mass or sequential"
        )
    write_merged(stored_model(options.model), edit, options.model, options.to)
    print(f"{options.to}: the edited model, for AutoModelForCausalLM.from_pretrained({str(options.to)!r})")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/base"), help="folder of stage base")
    parser.add_argument("--edit", type=Path, default=Path("models/edit"), help="folder of stage edit, or a checkpoint")
    parser.add_argument("--to", type=Path, required=True, help="new folder")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
