"""What is written stays whole when the machine stops, and a damaged checkpoint gives way to the one before it."""

import ast
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lib.core.errors import InputError
from lib.core.files import check_hashes, put_in_place, write_hashes, write_json
from lib.methods.training.loop import Checkpoints
from lib.runtime.checkpoints import load_checkpoint, save_checkpoint
from tests.helpers.imports import ROOT
from tests.lib.methods.test_training import schedule, trained


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = [cut, flip, emptied]


@pytest.mark.parametrize("damage", DAMAGES)
def test_training_goes_on_from_the_sound_checkpoint_beside_a_damaged_one_to_the_same_bytes(
    damage: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    uninterrupted, steps = trained(schedule())
    checkpoints = Checkpoints(folder=tmp_path, every=2)
    with pytest.raises(KeyboardInterrupt):
        trained(schedule(), checkpoints, stop_after=9)
    damage(tmp_path / "step-00000008.safetensors")
    with caplog.at_level(logging.WARNING):
        resumed, continued = trained(schedule(), checkpoints)
    assert all(torch.equal(a, b) for a, b in zip(uninterrupted, resumed, strict=True))
    assert continued == steps
    assert "step-00000008.safetensors: passed over, going on from step-00000006.safetensors" in caplog.text


def test_where_every_checkpoint_is_damaged_the_work_starts_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    uninterrupted, steps = trained(schedule())
    checkpoints = Checkpoints(folder=tmp_path, every=2)
    with pytest.raises(KeyboardInterrupt):
        trained(schedule(), checkpoints, stop_after=9)
    for path in tmp_path.glob("step-*"):
        flip(path)
    with caplog.at_level(logging.WARNING):
        resumed, continued = trained(schedule(), checkpoints)
    assert all(torch.equal(a, b) for a, b in zip(uninterrupted, resumed, strict=True))
    assert (continued == steps, "the work starts anew" in caplog.text) == (True, True)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_an_error_that_names_it(damage: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint({"a": torch.rand(9).bfloat16(), "step": torch.tensor(3.0)}, path, {"done": "3"})
    assert load_checkpoint(path).about == {"done": "3"}
    damage(path)
    with pytest.raises(InputError, match=r"a\.safetensors: wanted tensors"):
        load_checkpoint(path)


def test_a_folder_whose_file_changed_is_told(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {})
    write_hashes(tmp_path)
    check_hashes(tmp_path)
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(InputError, match=r"a\.json: wanted sha256"):
        check_hashes(tmp_path)


def test_the_content_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    names: dict[int, str] = {}
    really_open, really_replace = os.open, os.replace

    def opened(path: Path, flags: int) -> int:
        descriptor = really_open(path, flags)
        names[descriptor] = Path(path).name
        return descriptor

    def replaced(source: Path, target: Path) -> None:
        events.append("replace")
        really_replace(source, target)

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "replace", replaced)
    monkeypatch.setattr(os, "fsync", lambda descriptor: events.append(names[descriptor]))
    folder = tmp_path / "unfinished"
    folder.mkdir()
    (folder / "file").write_text("a")
    put_in_place(folder, tmp_path / "finished")
    assert events == ["file", "unfinished", "replace", tmp_path.name]
    assert (tmp_path / "finished/file").read_text() == "a"


def test_one_function_alone_gives_files_their_names() -> None:
    """`.rename` and `.replace` of a path, too, where the name has one argument."""
    calls = []
    for path in [path for folder in ("lib", "stages", "apps") for path in (ROOT / folder).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and len(node.args) < 3:
                called = ast.unparse(node.func)
                renames = called in ("os.replace", "os.rename", "shutil.move") or (
                    node.func.attr in ("rename", "replace") and len(node.args) == 1 and not node.keywords
                )
                if renames and "polars" not in called and not isinstance(node.args[0], ast.Dict):
                    calls.append(f"{path.relative_to(ROOT)}: {ast.unparse(node)}")
    assert calls == ["lib/core/files.py: os.replace(unfinished, target)"]
