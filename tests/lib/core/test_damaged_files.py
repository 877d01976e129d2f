"""A damaged file, a full disk or a folder that may not be written is one message that names the file and what to do."""

import errno
import os
import resource
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from lib.core import tables
from lib.core.errors import user_message
from lib.core.files import read_json, write_csv, write_json
from lib.core.params import Facts
from lib.core.records import Fact
from lib.core.run import run
from lib.core.tables import Stored, Streamed, frame, write
from lib.data import files, plain_text
from lib.edits.store import load_edit
from lib.models.loading import load_model
from lib.runtime.tensors import load_tensors, open_tensors, save_tensors, saving
from tests.helpers.small import POOL

FACTS = Facts.model_construct(text_limit=None, seed=0)
DEEP = "[" * 100_000 + "]" * 100_000


def message(action: Callable[[], object]) -> str:
    """What `run` prints of `action`; an exception that it leaves with a traceback fails the test."""

    def main() -> None:
        action()

    with pytest.raises(SystemExit) as ended:
        run(main, with_parent=False)
    return str(ended.value.code)


def no_table(path: Path) -> None:
    path.write_bytes(b"PAR1" + b"x" * 100 + b"PAR1")


def zeroed_table(path: Path) -> None:
    """A table with the middle of its content overwritten: its schema can be read."""
    pq.write_table(pa.table({key: [str(number) for number in range(10000)] for key in ("fact_id", "text")}), path)
    content = bytearray(path.read_bytes())
    end = len(content) // 2 + 300  # in the second column
    content[100:end] = bytes(end - 100)
    path.write_bytes(content)


def table_of_bytes(path: Path) -> None:
    """A table with a text that is not UTF-8."""
    columns = {key: [str(number) for number in range(10)] for key in ("fact_id", "text")}
    pq.write_table(pa.table(columns), path, compression="none", use_dictionary=False)
    path.write_bytes(path.read_bytes().replace(b"\x01\x00\x00\x009", b"\x01\x00\x00\x00\xb1"))


def table_of_odd_columns(path: Path) -> None:
    """A table with the name of a column that is not UTF-8."""
    columns = {key: [str(number) for number in range(10)] for key in ("fact_id", "text")}
    pq.write_table(pa.table(columns), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"fact_id", b"f\xe9ct_id"))


@pytest.mark.parametrize("damage", [no_table, zeroed_table, table_of_bytes, table_of_odd_columns])
@pytest.mark.parametrize(
    "read",
    [
        lambda path: tables.read(path, Fact),
        lambda path: list(Stored(path, Fact)),
        lambda path: list(Streamed(path=path, kind=Fact).parts("fact_id")),
        frame,
        files.read_parquet,
        lambda path: plain_text._articles(path, FACTS, ()),
    ],
)
def test_a_damaged_parquet_file(
    tmp_path: Path, damage: Callable[[Path], None], read: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "check_schema", lambda *arguments: None)  # another schema has a message of its own
    damage(tmp_path / "pool.parquet")
    text = message(lambda: read(tmp_path / "pool.parquet"))
    assert text.startswith(f"error: {tmp_path}/pool.parquet: wanted a")
    assert text.endswith(".")


@pytest.mark.parametrize("text", ["{", DEEP, "\x80"])
@pytest.mark.parametrize("read", [read_json, files.read_json])
def test_damaged_or_deep_json(tmp_path: Path, read: Callable[[Path], object], text: str) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    assert message(lambda: read(tmp_path / "a.json")).startswith(f"error: {tmp_path}/a.json: wanted ")


def test_deep_json_on_a_line_is_a_reject(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"prompt": "a"}}\n{DEEP}\n')
    assert [reject.line for reject in files.read_jsonl(tmp_path / "a.jsonl").rejects] == [2]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_truncated_tensors(tmp_path: Path) -> None:
    path = tmp_path / "adapter_model.safetensors"
    save_tensors({"a": torch.zeros(1000)}, path)
    cut(path)

    def opened() -> None:
        with open_tensors(path) as stored:
            stored.get_tensor("a")

    for read in (lambda: load_tensors(path), opened):
        assert message(read).startswith(f"error: {path}: wanted tensors in safetensors format; found a damaged file (")


def test_a_truncated_edit(tmp_path: Path) -> None:
    save_tensors({"a/left": torch.zeros(1000)}, tmp_path / "updates.safetensors")
    write_json(tmp_path / "edit.json", {})
    cut(tmp_path / "updates.safetensors")
    assert message(lambda: load_edit(tmp_path)).startswith(f"error: {tmp_path}/updates.safetensors: ")


@pytest.mark.parametrize("damaged", ["model.safetensors", "config.json"])
def test_truncated_weights_of_a_model(tmp_path: Path, damaged: str) -> None:
    GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=8, n_layer=1, n_head=1)).save_pretrained(tmp_path)
    write_json(tmp_path / "manifest.json", {"source": "tiny", "name": "tiny", "dtype": "float32"})
    cut(tmp_path / damaged)
    text = message(lambda: load_model(tmp_path, torch.device("cpu")))
    expected = (
        ": wanted a model as transformers stores it" if damaged == "model.safetensors" else "/config.json: wanted JSON"
    )
    assert text.startswith(f"error: {tmp_path}{expected}; found a damaged file (")
    assert "dvc repro" in text


def test_a_damaged_zip_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.json", "w") as packed:
        packed.writestr("a.json", "[]" * 1000)
    content = bytearray((tmp_path / "a.json").read_bytes())
    content[45:60] = bytes(15)
    (tmp_path / "a.json").write_bytes(content)
    assert message(lambda: files.read_json(tmp_path / "a.json")).startswith(f"error: {tmp_path}/a.json: wanted ")


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The operating system refuses to write longer files, as it refuses on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    "save",
    [
        lambda path: save_tensors({"a": torch.rand(10_000)}, path),
        lambda path: write(path, Fact, (replace(POOL[0], fact_id=str(number)) for number in range(10_000))),
        lambda path: write_json(path, {str(number): number for number in range(10_000)}),
        lambda path: write_csv(path, ["a"], [{"a": number} for number in range(10_000)]),
    ],
)
def test_a_disk_that_takes_no_more(tmp_path: Path, save: Callable[[Path], None]) -> None:
    with files_of_at_most(5_000):
        text = message(lambda: save(tmp_path / "a"))
    assert text.startswith(f"error: {tmp_path}/a: the file is larger than the file system or a limit")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_names_the_file_of_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors import SafetensorError

    def full(*arguments: object, **named: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("lib.runtime.tensors.save_file", full)
    text = message(lambda: save_tensors({"a": torch.rand(10)}, tmp_path / "a"))
    assert text.startswith(f"error: {tmp_path}/a: the disk is full")


def test_a_kill_while_tensors_are_written_leaves_nothing_beside_the_next_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault: safetensors begins with a file of a random name in the same folder, which a kill left for good."""

    def killed(tensors: object, path: Path, **named: object) -> None:
        path.with_name(".tmpSDXl2v").touch()
        os._exit(9)

    with monkeypatch.context() as patched:
        patched.setattr("lib.runtime.tensors.save_file", killed)
        if not (process := os.fork()):
            save_tensors({"a": torch.rand(10)}, tmp_path / "a")
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 9
    save_tensors({"a": torch.rand(10)}, tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_tokenizers_says_of_a_full_disk_is_a_message_with_the_folder(tmp_path: Path) -> None:
    def save() -> None:
        with saving(tmp_path):
            raise Exception("No space left on device (os error 28)")  # as tokenizers raises it

    assert message(save).startswith(f"error: {tmp_path}: the disk is full")


def test_of_a_copy_the_target_is_named_where_the_disk_is_full() -> None:
    text = user_message(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "source", None, "target"))
    assert str(text).startswith("target: the disk is full")


def test_a_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *arguments: object, **named: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)  # whoever runs the tests as root may write anywhere
    refused = f"error: {tmp_path}/metrics: the file system is read-only"
    assert message(lambda: write(tmp_path / "metrics/a", Fact, POOL)).startswith(refused)
    assert message(lambda: write_json(tmp_path / "metrics/a", {})).startswith(refused)
