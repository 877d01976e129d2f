"""Merge an edit into a plain checkpoint: `python -m apps.export --model models/base --edit models/edit --to FOLDER`.

The folder is what transformers (or vLLM) loads without this project: weights, config, tokenizer, generation config. The
merged weights are read back and scored on the edited prompts, beside the edit as it was measured. They are stored in
the dtype that the base stores where that keeps the edit, rounded stochastically where only that does, else in float32;
`--dtype` sets it. There is no command that takes an edit out of such a checkpoint again, since floating-point
subtraction does not give back the same bits: to undo it, use the base model.

With --gguf-ready the folder has what llama.cpp's convert_hf_to_gguf.py and `ollama create` look for, and the commands
are printed. With --adapter nothing is merged: the folder gets the PEFT adapter and its card alone.
"""

import argparse
import shutil
from pathlib import Path

from lib.core.errors import InputError
from lib.core.files import replacing_folder
from lib.core.records import Request
from lib.core.run import run
from lib.core.tables import read
from lib.edits.adapter import CONFIG, WEIGHTS
from lib.edits.store import was_dropped
from lib.export.choice import AUTO, DTYPES, export
from lib.export.converters import conversions, for_converters
from lib.export.merge import as_stored, check_new
from lib.handover.bundle import CARD
from lib.handover.scopes import loaded

_FORMS = {
    "merged": "a plain checkpoint with the edit in its weights (default)",
    "gguf-ready": "the same, for llama.cpp's convert_hf_to_gguf.py and ollama create",
    "adapter": "the PEFT adapter alone, nothing merged",
}


def main() -> None:
    """Read the model and the edit; write the checkpoint, whole or not at all."""
    options = _options()
    edit = loaded(options.edit)
    if was_dropped(options.edit):
        raise InputError(
            f"{options.edit}: single edits are made, scored and dropped, so none is there to export; "
            "run with protocol.kind=mass or sequential"
        )
    if options.form == "adapter":
        copy_adapter(options.edit, options.to)
        print(f"{options.to}: the adapter, for PeftModel.from_pretrained(model, {str(options.to)!r})")
        return
    requests = read(options.requests, Request)[: options.limit] if options.requests.is_file() else []
    is_ready = options.form == "gguf-ready"
    complete = for_converters if is_ready else as_stored
    form = export(options.model, edit, options.to, options.dtype, requests, print, complete)
    print(f"{options.to}: the edited model in {form}, for AutoModelForCausalLM.from_pretrained({str(options.to)!r})")
    if is_ready:
        print("for llama.cpp and Ollama:")
        for line in conversions(str(options.to), str(form.described()["dtype"])):
            print(f"    {line}")


def copy_adapter(edit: Path, folder: Path) -> None:
    """Copy the PEFT adapter in the folder `edit`, and its card, to a new folder.

    Raises InputError where the edit is no adapter, or `folder` holds something already.
    """
    if not (edit / CONFIG).is_file():
        raise InputError(
            f"{edit}: wanted a PEFT adapter ({CONFIG}); found an edit that Errata alone applies. Export it merged"
        )
    check_new(folder)
    with replacing_folder(folder) as unfinished:
        for file in (edit / name for name in (CONFIG, WEIGHTS, CARD) if (edit / name).is_file()):
            shutil.copyfile(file, unfinished / file.name)


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
    forms = parser.add_mutually_exclusive_group()
    for name, text in _FORMS.items():
        forms.add_argument(f"--{name}", dest="form", action="store_const", const=name, default="merged", help=text)
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
