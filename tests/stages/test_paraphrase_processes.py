"""Stage paraphrase in one process, in two, after a kill, and on Ray: the same texts, and no chunk drawn twice."""

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from lib.core.params import Para, section
from lib.core.records import EvaluationPrompt, Paraphrase, Request
from lib.core.tables import read, write
from lib.paraphrases import ray_chunks
from tests.helpers import small

CHANGES = {"para": {"n": 3, "max_tokens": 16, "samples": 1, "prefix_tokens": [4], "evaluation": 1}}
BARE = [
    Request(
        request_id=f"b{number}", dataset="own", subject=name, relation=None, prompt=f"{name} lives in", template=None,
        target_new="Rome", target_true=None,
    )
    for number, name in enumerate(("Ida", "Jo"))
]  # fmt: skip
CHUNKS = 2 * len(small.REQUESTS) + 3 * len(BARE)
"""Of a request each: few-shot lines and prefixes, and for bare ones generalization prompts."""


def command(folder: Path) -> list[str]:
    """What dvc.yaml would run, with two requests more that have no generalization prompts."""
    paths = small.inputs(folder)
    write(paths["requests"], Request, [*small.REQUESTS, *BARE])
    options = {name: paths[name] for name in ("requests", "pool", "model")}
    options |= {name: folder / f"out/{name}" for name in ("paraphrases", "evaluation", "metrics", "results", "usage")}
    arguments = [f"--{name}={path}" for name, path in options.items()]
    return ["-m", "tests.helpers.paraphrase_process", json.dumps(CHANGES), *arguments]


def run_stage(folder: Path, processes: int, **variables: str) -> subprocess.CompletedProcess[str]:
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    return subprocess.run(
        [sys.executable, *torchrun, *command(folder)],
        env=os.environ | {"DVC_ROOT": str(folder), "OMP_NUM_THREADS": "1"} | variables,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def results(folder: Path) -> list[EvaluationPrompt | Paraphrase]:
    return [*read(folder / "out/evaluation", EvaluationPrompt), *read(folder / "out/paraphrases", Paraphrase)]


def drawn_chunks(folder: Path) -> list[str]:
    """The chunks that were drawn, by any process."""
    return [line for path in folder.glob("drawn-*") for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    done = run_stage(folder, 1)
    assert done.returncode == 0, done.stderr
    assert len(results(folder)) > len(small.REQUESTS) + len(BARE)
    assert len(drawn_chunks(folder)) == CHUNKS
    return folder


@pytest.mark.slow
def test_two_processes_write_the_texts_of_one_also_after_one_was_killed(alone: Path, tmp_path: Path) -> None:
    killed = run_stage(tmp_path, 2, DIE="yes")
    assert killed.returncode == 1
    assert not (tmp_path / "out").exists()
    parts = {path: path.read_bytes() for path in tmp_path.glob(".scratch/paraphrase/*/*.parquet")}
    assert parts
    for path in (*tmp_path.glob("began-*"), *tmp_path.glob("drawn-*")):
        path.unlink()
    done = run_stage(tmp_path, 2)
    assert done.returncode == 0, done.stderr
    assert results(tmp_path) == results(alone)
    assert {path: path.read_bytes() for path in parts} == parts
    labels = Counter(drawn_chunks(tmp_path))
    assert labels.total() == CHUNKS - len(parts)
    assert labels <= Counter(drawn_chunks(alone))
    assert all((tmp_path / f"drawn-{rank}").is_file() for rank in range(2))


@pytest.mark.ray
@pytest.mark.skipif(not ray_chunks.available(), reason="ray is not installed (requirements-ray.txt)")
def test_two_workers_on_ray_write_the_texts_of_one_process(alone: Path, tmp_path: Path) -> None:
    done = run_stage(tmp_path, 1, ERRATA_RAY="local", ERRATA_PROCESSES="2")
    assert done.returncode == 0, done.stderr
    assert results(tmp_path) == results(alone)
    assert drawn_chunks(tmp_path) == []  # by workers of Ray's, not here


def test_ray_that_is_asked_for_and_absent_is_an_error_that_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="ERRATA_RAY is set, but the package ray is not installed: pip install -r"):
        ray_chunks.complete_on_ray([], section("para", Para), tmp_path, lambda chunks: chunks)
