"""The unedited model and its tokenizer: loaded, frozen, checked."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from lib.core.errors import InputError, reading
from lib.core.files import read_json
from lib.models.architecture import shape
from lib.models.check import check, reading_of
from lib.models.manifest import MANIFEST, check_files, read_manifest, weights_folder
from lib.models.reading import Reading, record
from lib.models.sharding import sharded
from lib.runtime.distributed import SINGLE_PROCESS, Distributed
from lib.runtime.quiet import quiet_transformers
from lib.runtime.threads import use_threads

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_logger = logging.getLogger(__name__)
REMEDY = "Make or fetch it again (dvc repro --force --single-item base), or put the whole model in its place."


def dtype_on(where: torch.device, preset: str) -> torch.dtype:
    """The dtype that a model computes in: the preset's on a GPU, float32 on a CPU."""
    return torch.float32 if where.type == "cpu" else getattr(torch, preset)


def load_tokenizer(base: Path) -> PreTrainedTokenizerBase:
    """The model's tokenizer, without its chat template where the preset has `template: none`.

    It is only ever asked for input ids: token_type_ids would change GPT-2's answers.
    """
    check_files(base, weights=False)
    tokenizer = _read_tokenizer(weights_folder(base))
    if read_manifest(base).get("template") == "none":
        tokenizer.chat_template = None
    return tokenizer


def load_shape(base: Path) -> str:
    """What editors' presets know the model by (lib.models.architecture.shape), without loading its weights."""
    folder = weights_folder(base)
    with _reading_model(folder):
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    return shape(config)


def load_model(
    base: Path, where: torch.device, distributed: Distributed = SINGLE_PROCESS, dtype: torch.dtype | None = None
) -> PreTrainedModel:
    """The model in evaluation mode on `where`, every parameter frozen; spread over the processes that are sharded.

    It computes in `dtype`; None is the preset's on a GPU, and float32 on a CPU. How it has to be read is checked and
    kept with it (lib/models/check.py).

    Raises InputError where it does not split into a decoder and an output embedding as the library needs, where no way
    of reading it is right, or where a file of it is another one than its manifest notes.
    """
    folder = weights_folder(base)
    if distributed.is_main:
        check_files(base, weights=True)
    dtype = dtype or dtype_on(where, read_manifest(base)["dtype"])
    model = (
        sharded(lambda: read_model(folder, dtype), where, distributed)
        if distributed.sharded
        else read_model(folder, dtype).to(where)
    )
    if where.type == "cpu":
        use_threads(model.num_parameters())
    check_split(model)
    ways = reading_of(model)
    if distributed.is_main and (ways.rows, ways.texts) != ("shared", "batched"):
        _logger.info("%s: scored and trained in %s rows, texts %s", type(model).__name__, *_named(ways))
    return model


def _named(ways: Reading) -> tuple[str, str]:
    texts = {"batched": "in batches", "single": "one at a time", "recomputed": "one at a time, without a cache"}
    return ways.rows, texts[ways.texts]


def load_writer(folder: Path, where: torch.device) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A model that only writes, and its tokenizer, from a folder as transformers stores one, or as stage base does.

    It computes in bfloat16 on a GPU. Raises InputError where there is no such folder.
    """
    if (folder / MANIFEST).is_file():
        return load_model(folder, where), load_tokenizer(folder)
    if not (folder / "config.json").is_file():
        raise InputError(
            f"para.model: wanted a folder with a model as transformers stores it, or an address; found {folder}"
        )
    model = read_model(folder, dtype_on(where, "bfloat16")).to(where)
    record(model, check(model, scored=False))
    return model, _read_tokenizer(folder)


def _read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """A tokenizer out of a folder. Raises InputError where it has no end-of-text token: texts are ended with it."""
    with _reading_model(folder):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        tokenizer("")  # a setting of another type is noticed at the first text
    if tokenizer.eos_token_id is None:
        raise InputError(
            f"{folder}: wanted a tokenizer with an end-of-text token, which ends what is trained and written; found "
            "none. Set eos_token in its tokenizer_config.json to the token that the model was trained with"
        )
    return tokenizer


@contextmanager
def _reading_model(folder: Path) -> Iterator[None]:
    """Within it, whatever transformers raises for a folder that it cannot read is an InputError, of the JSON file that
    is damaged where one is.
    """
    try:
        with reading(folder, "a model as transformers stores it", REMEDY, Exception):
            yield
    except InputError:
        for path in sorted(folder.glob("*.json")):
            read_json(path, REMEDY)
        raise


def read_model(folder: Path, dtype: torch.dtype | Literal["auto"]) -> PreTrainedModel:
    """A model out of a folder with safetensors, on the CPU and frozen; "auto" is the dtype that it is stored in.

    Raises InputError where transformers cannot read it, or it lacks weights.
    """
    with quiet_transformers(), _reading_model(folder):
        model, report = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    check_whole(report["missing_keys"], folder, REMEDY)
    frozen: PreTrainedModel = model.eval().requires_grad_(False)
    return frozen


def check_whole(missing: Collection[str], stored: Path, remedy: str) -> None:
    """Raise InputError where `stored` lacks weights, which transformers draws at random with no more than a note.

    Args:
        missing: Their names, as transformers reports them: of tied weights, and of what is computed, none.
        stored: A file or a folder.
        remedy: What to do about it.
    """
    if missing:
        names = sorted(missing)
        raise InputError(
            f"{stored}: wanted all weights of the model; found none of {len(names)} of them ({', '.join(names[:3])}"
            f"{', ...' if len(names) > 3 else ''}): the file is damaged, or config.json or its metadata are another "
            f"model's. {remedy}"
        )


@torch.no_grad()
def check_split(model: PreTrainedModel) -> None:
    """Raise InputError unless the model splits in two and output embedding(decoder(x)) are its own logits.

    Everything here computes logits only where they are needed, so a model that does more between the two (a scale, a
    soft cap) would be scored wrongly without a word. Logits that are not finite are those of a damaged file.
    """
    ids = torch.arange(1, 5, device=model.device)[None]
    own = model(ids, use_cache=False).logits.float()
    if not own.isfinite().all():
        name = model.name_or_path or type(model).__name__
        raise InputError(f"{name}: wanted weights that give finite logits; found NaN or infinite ones. {REMEDY}")
    try:
        split = model.get_output_embeddings()(model.base_model(ids, use_cache=False).last_hidden_state).float()
    except (AttributeError, TypeError) as error:
        raise InputError(
            f"{type(model).__name__}: wanted a model that splits into a decoder with a last hidden state and an output "
            f"embedding; this one does not split as transformers stores it ({error}). Use another model"
        ) from error
    difference = (own - split).abs().max().item()
    rounding = 1e-4 if model.dtype in {torch.float32, torch.float64} else 1e-2
    if not difference <= rounding * own.abs().max().clamp(min=1).item():
        raise InputError(
            f"{type(model).__name__}: its logits differ from output_embedding(decoder(x)) by {difference:.3g}; "
            "the model scales or caps them, which is not supported"
        )
