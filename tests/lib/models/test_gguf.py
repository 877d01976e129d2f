"""A GGUF file becomes a folder that transformers loads as any other, and BOS is what its metadata says."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from lib.core.errors import InputError
from lib.models import gguf
from tests.helpers.ggufs import BOS, TEMPLATE, write_gguf

TEXT = "The capital of France is"


def stored(tmp_path: Path, **options: object) -> Path:
    write_gguf(tmp_path / "tiny.gguf", **options)  # type: ignore[arg-type]
    gguf.convert(tmp_path / "tiny.gguf", tmp_path / "stored")
    return tmp_path / "stored"


@pytest.mark.parametrize(
    ("tokenizer", "add_bos", "expected"),
    [
        ("gpt2", True, True),
        ("gpt2", False, False),
        ("gpt2", None, False),
        ("llama", True, True),
        ("llama", False, False),
        ("llama", None, True),  # llama.cpp's default for SentencePiece
    ],
)
def test_the_stored_tokenizer_begins_every_text_as_the_file_says(
    tmp_path: Path, tokenizer: str, add_bos: bool | None, expected: bool
) -> None:
    loaded = AutoTokenizer.from_pretrained(stored(tmp_path, tokenizer=tokenizer, add_bos=add_bos))
    ids, bare = loaded(TEXT).input_ids, loaded(TEXT, add_special_tokens=False).input_ids
    assert ids == [*([BOS] if expected else []), *bare]
    assert loaded.decode(bare) == TEXT
    assert loaded.chat_template == TEMPLATE


def test_weights_are_stored_in_float32_and_load_without_gguf(tmp_path: Path) -> None:
    weights = write_gguf(tmp_path / "tiny.gguf")
    gguf.convert(tmp_path / "tiny.gguf", tmp_path / "stored")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "stored", use_safetensors=True)
    block = model.model.layers[0]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert np.array_equal(model.get_input_embeddings().weight.detach().numpy(), weights["token_embd.weight"])
    assert np.array_equal(block.mlp.down_proj.weight.detach().numpy(), weights["blk.0.ffn_down.weight"])
    assert not hasattr(model.config, "quantization_config")
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


def test_quantised_weights_are_dequantised_to_within_their_rounding(tmp_path: Path) -> None:
    weights = write_gguf(tmp_path / "tiny.gguf", width=32, quantised=True)
    gguf.convert(tmp_path / "tiny.gguf", tmp_path / "stored")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "stored")
    up = model.model.layers[0].mlp.up_proj.weight.detach().numpy()
    exact = weights["blk.0.ffn_up.weight"]
    step = np.abs(exact).max(axis=1, keepdims=True) / 127  # Q8_0: a scale for 32 values, a row here
    assert not np.array_equal(up, exact)
    assert (np.abs(up - exact) <= step * 0.57).all()  # half a step, and a scale of 16 bits


def test_a_folder_that_is_there_is_replaced_and_nothing_unfinished_stays(tmp_path: Path) -> None:
    (tmp_path / "stored").mkdir()
    (tmp_path / "stored/old").write_text("old")
    folder = stored(tmp_path)
    assert not (folder / "old").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stored", "tiny.gguf"]


def test_no_progress_bar_gets_into_a_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored(tmp_path)
    assert capsys.readouterr().err == ""


def test_an_absent_file_is_an_error_that_says_where_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no\.gguf\. Give its path: -S configs/models/gguf\.yaml:name="):
        gguf.convert(tmp_path / "no.gguf", tmp_path / "stored")


def test_what_is_no_gguf_is_an_error_that_shows_how_it_begins(tmp_path: Path) -> None:
    (tmp_path / "page.gguf").write_text("<!doctype html>")
    with pytest.raises(ValueError, match=r"page\.gguf: wanted a GGUF file.*found b'<!doctype html>'"):
        gguf.convert(tmp_path / "page.gguf", tmp_path / "stored")


def test_a_file_cut_short_is_an_error(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    content = (tmp_path / "tiny.gguf").read_bytes()
    (tmp_path / "cut.gguf").write_bytes(content[:200])
    with pytest.raises(ValueError, match=r"cut\.gguf: a GGUF file that is cut short or damaged"):
        gguf.convert(tmp_path / "cut.gguf", tmp_path / "stored")
    (tmp_path / "cut.gguf").write_bytes(content[:-200])
    with pytest.raises(ValueError, match=r"cut\.gguf: transformers cannot read"):
        gguf.convert(tmp_path / "cut.gguf", tmp_path / "stored")
    assert not (tmp_path / "stored").exists()


def test_an_unsupported_architecture_is_named_with_what_to_do(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf", architecture="rwkv7")
    with pytest.raises(ValueError, match=r"architecture 'rwkv7'.*hub id.*model=folder"):
        gguf.convert(tmp_path / "tiny.gguf", tmp_path / "stored")


def test_a_file_that_wants_a_bos_and_names_none_is_an_error(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf", bos=None)
    with pytest.raises(
        ValueError,
        match=r"tiny\.gguf: tokenizer\.ggml\.add_bos_token is true, and tokenizer\.ggml\.bos_token_id.*is absent",
    ):
        gguf.convert(tmp_path / "tiny.gguf", tmp_path / "stored")


def odd_gguf(folder: Path, part: bytes, other_part: bytes, count: int = -1) -> Path:
    """A GGUF file with other bytes in place of some, everywhere or `count` times."""
    write_gguf(folder / "tiny.gguf")
    content = (folder / "tiny.gguf").read_bytes()
    (folder / "odd.gguf").write_bytes(content.replace(part, other_part, count))
    return folder / "odd.gguf"


def test_merges_that_are_no_pairs_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    """The fault: tokenizers raises a TypeError, which was a traceback."""
    odd = odd_gguf(tmp_path, b"T h", b"T,h")
    with pytest.raises(InputError, match=r"odd\.gguf: transformers cannot read this GGUF file"):
        gguf.convert(odd, tmp_path / "stored")


@pytest.mark.parametrize("key", ["tokenizer.ggml.bos_token_id", "tokenizer.ggml.model", "general.architecture"])
def test_metadata_of_another_type_are_an_error_that_names_file_and_key(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    metadata = {**gguf.read_metadata(tmp_path / "tiny.gguf"), key: [1.5]}
    monkeypatch.setattr(gguf, "read_gguf_metadata", lambda _: (metadata, ()))
    with pytest.raises(InputError, match=rf"tiny\.gguf: {re.escape(key)}: wanted .*; found '\[1\.5\]'"):
        gguf.convert(tmp_path / "tiny.gguf", tmp_path / "stored")


@pytest.mark.parametrize("blocks", [4, 2**31 - 1])
def test_more_blocks_than_tensors_are_an_error_before_any_is_made(blocks: int, tmp_path: Path) -> None:
    """The fault: a flipped bit in the number of blocks, and transformers built that many until the memory was full."""
    write_gguf(tmp_path / "tiny.gguf")
    content = (tmp_path / "tiny.gguf").read_bytes()
    value = content.index(b"llama.block_count") + len(b"llama.block_count") + 4  # behind the type's number
    assert content[value : value + 4] == (1).to_bytes(4, "little")
    tensors = int.from_bytes(content[8:16], "little")
    changed = (tensors + blocks).to_bytes(4, "little")
    (tmp_path / "odd.gguf").write_bytes(content[:value] + changed + content[value + 4 :])
    with pytest.raises(
        InputError,
        match=rf"odd\.gguf: llama\.block_count: wanted a number of at most {tensors}, .*; found {tensors + blocks}",
    ):
        gguf.read_metadata(tmp_path / "odd.gguf")


@pytest.mark.parametrize("name", ["block_count", "context_length", "embedding_length", "attention.head_count"])
def test_a_shape_that_the_file_does_not_say_is_an_error_and_no_default_of_transformers(
    name: str, tmp_path: Path
) -> None:
    """The fault: with a bit of the key flipped, the model had 32 blocks, of which 31 were random."""
    key = f"llama.{name}".encode()
    odd = odd_gguf(tmp_path, key, key.upper(), 1)
    with pytest.raises(InputError, match=rf"odd\.gguf: llama\.{re.escape(name)}: wanted a number.*; found none"):
        gguf.read_metadata(odd)


def test_weights_that_the_file_lacks_are_an_error_and_not_drawn_at_random(tmp_path: Path) -> None:
    """The fault: of a tensor whose name had a bit flipped, transformers drew the weights, and the edit went on."""
    odd = odd_gguf(tmp_path, b"blk.0.attn_q.weight", b"blk.0.attn_x.weight")
    with pytest.raises(InputError, match=r"odd\.gguf: wanted all weights.*found none of 1 of them .*q_proj.*Download"):
        gguf.convert(odd, tmp_path / "stored")
    assert not (tmp_path / "stored").exists()
