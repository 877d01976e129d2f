"""A model that comes as a GGUF file, read once and stored as transformers stores one: config, weights, tokenizer.

GGUF is llama.cpp's format: one file with quantised weights, shape, vocabulary and chat template. Weights are
dequantised to float32, because edits are trained on real numbers. Whether texts begin with the beginning-of-text
token (BOS) is in the file's metadata and gets lost in the conversion of tokenizers; here it is set and then tried:
Gemma without BOS writes "the the the".
"""

import io
import logging
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
from transformers.integrations.gguf import read_gguf_metadata

from lib.core.errors import InputError
from lib.core.files import replacing_folder
from lib.models.loading import check_whole
from lib.runtime.quiet import quiet_transformers
from lib.runtime.tensors import saving

_MAGIC = b"GGUF"
_BLOCKS = "block_count"
_SHAPE = (_BLOCKS, "context_length", "embedding_length", "attention.head_count")
"""What every language model's GGUF file says, below its architecture (ggml's gguf.md)."""
_TENSORS = slice(8, 16)
"""The bytes of a GGUF file that say how many tensors it has."""
_BOS_BY_DEFAULT = ("llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2")
"""Names of pre-tokenizers that llama.cpp puts BOS before where the file does not say (llama-vocab.cpp)."""
_SENTENCEPIECE = "llama"
"""The name of a tokenizer (tokenizer.ggml.model) that gets BOS where the file does not say."""
_PROBE = "The capital of France is"
_KINDS: Mapping[str, type] = {
    "general.architecture": str,
    "split.count": int,
    "split.no": int,
    "tokenizer.ggml.model": str,
    "tokenizer.ggml.pre": str,
    "tokenizer.ggml.bos_token_id": int,
}
"""What is read here of the metadata, which may hold anything under any key."""


def read_metadata(file: Path) -> Mapping[str, Any]:
    """The key-value pairs of a GGUF file; of an array of texts (a vocabulary) the length.

    Raises FileNotFoundError where the file is absent; ValueError where it is no GGUF, cut short, or one of several.
    """
    if not file.is_file():
        raise FileNotFoundError(
            f"wanted a GGUF file; found none at {file}. Give its path: -S configs/models/gguf.yaml:name=<file>"
        )
    with file.open("rb") as stream:
        beginning = stream.read(64)
    if not beginning.startswith(_MAGIC):
        raise InputError(
            f"{file}: wanted a GGUF file, which begins with {_MAGIC!r}; found {beginning[:16]!r}. A folder with "
            "config.json and *.safetensors is a model for -S model=folder; `git lfs pull` replaces a Git LFS pointer."
        )
    try:
        metadata: dict[str, Any] = read_gguf_metadata(str(file))[0]
    except (ValueError, KeyError, IndexError, OverflowError, struct.error) as error:
        raise InputError(f"{file}: a GGUF file that is cut short or damaged ({error}). Download it again.") from None
    for key, kind in _KINDS.items():
        if key in metadata and not isinstance(metadata[key], kind):
            raise InputError(
                f"{file}: {key}: wanted {kind.__name__}; found {str(metadata[key])[:80]!r}: a damaged GGUF file. "
                "Download it again."
            )
    if metadata.get("split.count", 1) > 1:
        raise InputError(
            f"{file}: wanted a whole model; found file {metadata.get('split.no', 0) + 1} of {metadata['split.count']}. "
            "Join them: llama-gguf-split --merge <the first file> <the joined file>."
        )
    _check_shape(metadata, int.from_bytes(beginning[_TENSORS], "little"), file)
    return metadata


def _check_shape(metadata: Mapping[str, Any], tensors: int, file: Path) -> None:
    """Raise InputError where the file does not say the model's shape, for which transformers takes its own defaults, or
    says of more blocks than the file has tensors, which take minutes and the memory.
    """
    for name in _SHAPE if "general.architecture" in metadata else ():
        key = f"{metadata['general.architecture']}.{name}"
        number = metadata.get(key)
        if not isinstance(number, int | list) or (name == _BLOCKS and isinstance(number, int) and number > tensors):
            raise InputError(
                f"{file}: {key}: wanted a number{f' of at most {tensors}, the tensors' if name == _BLOCKS else ''}; "
                f"found {'none' if number is None else str(number)[:80]}: a damaged GGUF file. Download it again."
            )


def begins_with(metadata: Mapping[str, Any], file: Path) -> int | None:
    """The id of the token that every text begins with, by the file's own metadata; None where there is none.

    Raises InputError where the file asks for a token that it does not name.
    """
    tokenizer = metadata.get("tokenizer.ggml.model")
    default = tokenizer == _SENTENCEPIECE or metadata.get("tokenizer.ggml.pre") in _BOS_BY_DEFAULT
    if not metadata.get("tokenizer.ggml.add_bos_token", default):
        return None
    token = metadata.get("tokenizer.ggml.bos_token_id", 1 if tokenizer == _SENTENCEPIECE else None)
    if token is None:
        raise InputError(
            f"{file}: tokenizer.ggml.add_bos_token is true, and tokenizer.ggml.bos_token_id, the token meant, is "
            "absent. Set it with gguf-set-metadata, or convert the model again."
        )
    return int(token)


def convert(file: Path, folder: Path) -> None:
    """Store the model of a GGUF file in `folder`: float32 safetensors, config, tokenizer and chat template.

    The folder appears whole or not at all; one that is there already is replaced. Raises FileNotFoundError or
    ValueError where the file cannot be read, or is of an architecture that transformers does not read from GGUF.
    """
    metadata = read_metadata(file)
    logging.getLogger(__name__).info("reading %s and storing it as float32 safetensors, once", file.name)
    with replacing_folder(folder) as unfinished:
        with quiet_transformers(), _bars_on_a_terminal_alone(), saving(folder):
            model, tokenizer = _read(file, str(metadata["general.architecture"]))
            token = _set_beginning(tokenizer, begins_with(metadata, file), file)
            model.save_pretrained(unfinished)
            tokenizer.save_pretrained(unfinished)
        _check_beginning(AutoTokenizer.from_pretrained(unfinished, local_files_only=True), token, file)


def _read(file: Path, architecture: str) -> tuple[Any, Any]:
    """Model and tokenizer, as plain as any other. Raises InputError where transformers cannot read them."""
    where = {"gguf_file": file.name, "local_files_only": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(file.parent, **where)
        model, report = AutoModelForCausalLM.from_pretrained(
            file.parent, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True),
            output_loading_info=True, **where,
        )  # fmt: skip
    except MemoryError:
        raise
    except Exception as error:  # of a damaged or unusual file, the readers raise what comes
        raise InputError(
            f"{file}: transformers cannot read this GGUF file of architecture {architecture!r} ({error}). Give the "
            "model as transformers stores it: its hub id (docs/new-model.md), or a folder with -S model=folder."
        ) from error
    check_whole(report["missing_keys"], file, "Download it again.")
    model.config.__dict__.pop("quantization_config", None)  # transformers refuses to store what it calls quantized
    model.hf_quantizer, model.is_quantized = None, False
    return model, tokenizer


@contextmanager
def _bars_on_a_terminal_alone() -> Iterator[None]:
    """Within it, the bar of dequantising, which transformers always draws, does not get into logs."""
    if sys.stderr.isatty():
        yield
        return
    with redirect_stderr(io.StringIO()):
        yield


def _set_beginning(tokenizer: Any, token: int | None, file: Path) -> int | None:
    """Have `tokenizer` put `token` before every text, or nothing, and nothing behind it; the token."""
    if token is not None:
        if not 0 <= token < len(tokenizer):
            raise InputError(
                f"{file}: wanted a BOS of {len(tokenizer)} tokens; found id {token}. Convert the model again."
            )
        tokenizer.bos_token = tokenizer.convert_ids_to_tokens(token)
    tokenizer.add_eos_token = False
    tokenizer.add_bos_token = token is not None
    return token


def _check_beginning(tokenizer: Any, token: int | None, file: Path) -> None:
    """Raise InputError unless a text's ids are `token`, if any, and then those of the text alone."""
    ids, bare = tokenizer(_PROBE).input_ids, tokenizer(_PROBE, add_special_tokens=False).input_ids
    expected = [*([] if token is None else [token]), *bare]
    if ids != expected:
        raise InputError(
            f"{file}: the metadata says that {_PROBE!r} is {expected}; the stored tokenizer gives {ids}. "
            "This tokenizer cannot be stored; give the model by its hub id, or as a folder."
        )
