"""Stage paraphrase in one process, in two, after a kill, and on Ray: the same texts, and no chunk made twice."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib.core.params import Para, section
from lib.core.records import EvaluationPrompt, Paraphrase, Request
from lib.core.tables import read, write
from lib.paraphrases import ray_chunks
from tests.helpers import small

CHANGES = {"para": {"n": 3, "max_tokens": 16, "samples": 1, "prefix_tokens": [4], "evaluation": 1}}
BARE = [
    Request(request_id=f"b{place}", dataset="own", subject=name, relation=None, prompt=f"{name} lives in",
            template=None, target_new="Rome", target_true=None)
    for place, name in enumerate(("Ida", "Jo"))
]  # fmt: skip
CHUNKS = len(small.REQUESTS) + 2 * len(BARE)


def command(folder: Path) -> list[str]:
    """What dvc.yaml would run, with two edits more that have no generalization prompts."""
    paths = small.inputs(folder)
    write(paths["requests"], Request, [*small.REQUESTS, *BARE])
    given = {name: paths[name] for name in ("requests", "pool", "model")}
    given |= {name: folder / f"out/{name}" for name in ("paraphrases", "evaluation", "metrics")}
    return ["-m", "tests.helpers.paraphrase_process", json.dumps(CHANGES), *(f"--{k}={v}" for k, v in given.items())]


def ran(folder: Path, processes: int, **variables: str) -> subprocess.CompletedProcess[str]:
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    return subprocess.run(
        [sys.executable, *torchrun, *command(folder)],
        env=os.environ | {"DVC_ROOT": str(folder), "OMP_NUM_THREADS": "1"} | variables,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def results(folder: Path) -> list[EvaluationPrompt | Paraphrase]:
    return [*read(folder / "out/evaluation", EvaluationPrompt), *read(folder / "out/paraphrases", Paraphrase)]


def made(folder: Path) -> list[str]:
    """The chunks that were made, by any process."""
    return [line for one in folder.glob("made-*") for line in one.read_text().splitlines()]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    done = ran(folder, 1)
    assert done.returncode == 0, done.stderr
    assert len(results(folder)) > len(small.REQUESTS) + len(BARE)
    assert len(made(folder)) == CHUNKS
    return folder


def test_two_processes_write_the_texts_of_one_also_after_one_was_killed(alone: Path, tmp_path: Path) -> None:
    killed = ran(tmp_path, 2, DIE="yes")
    assert killed.returncode == 1
    assert not (tmp_path / "out").exists()
    parts = {one: one.read_bytes() for one in tmp_path.glob(".scratch/paraphrase/**/part-*.parquet")}
    assert parts
    for one in tmp_path.glob("began-*"):
        one.unlink()
    done = ran(tmp_path, 2)
    assert done.returncode == 0, done.stderr
    assert results(tmp_path) == results(alone)
    assert {one: one.read_bytes() for one in parts} == parts
    assert sorted(made(tmp_path)) == sorted(made(alone))
    assert all((tmp_path / f"made-{rank}").is_file() for rank in range(2))


@pytest.mark.ray
@pytest.mark.skipif(not ray_chunks.available(), reason="ray is not installed (requirements-ray.txt)")
def test_two_workers_on_ray_write_the_texts_of_one_process(alone: Path, tmp_path: Path) -> None:
    done = ran(tmp_path, 1, ERRATA_RAY="local", ERRATA_PROCESSES="2")
    assert done.returncode == 0, done.stderr
    assert results(tmp_path) == results(alone)
    assert made(tmp_path) == []  # by workers of Ray's, not here


def test_ray_that_is_asked_for_and_absent_is_an_error_that_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="ERRATA_RAY is set, but the package ray is not installed: pip install -r"):
        ray_chunks.make_on_ray([], section("para", Para), tmp_path, lambda chunks: chunks)
