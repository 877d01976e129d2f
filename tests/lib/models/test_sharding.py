"""A model spread over processes (FSDP2) trains and scores as a whole one does, whatever each process has to do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib.runtime.distributed import Distributed, wants_shards
from tests.helpers.models import tiny_model
from tests.helpers.shard_two import FAMILIES, found
from tests.lib.scoring.test_scorer import alike


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spread")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ERRATA_SHARD": "1"}
    command += ["-m", "tests.helpers.shard_two", str(folder)]
    done = subprocess.run(command, env=environment, timeout=600, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_spread_model_is_trained_and_scored_as_a_whole_one(spread: Path, family: str) -> None:
    sharded = json.loads((spread / f"{family}.json").read_text())
    expected = json.loads(json.dumps(found(tiny_model(family), family, Distributed())))
    assert sharded["untouched"]
    assert expected["untouched"]
    for trained in ("adapter", "holding"):
        for path, matrix in expected[trained].items():
            for row, wanted_row in zip(sharded[trained][path], matrix, strict=True):
                assert row == pytest.approx(wanted_row, abs=1e-4)
        assert any(any(map(any, matrix)) for matrix in sharded[trained].values())
    assert sharded["rect"] == expected["rect"]
    assert sharded["change"].pop("share_above") == pytest.approx(expected["change"].pop("share_above"))
    assert sharded["change"] == pytest.approx(expected["change"], rel=1e-4)
    for when in ("before", "adapted", "edited"):
        alike(sharded[when], expected[when], rel=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_each_process_holds_its_part_of_the_blocks(spread: Path, family: str) -> None:
    shares = [float((spread / f"{family}-share-{rank}").read_text()) for rank in range(2)]
    assert sum(shares) == pytest.approx(1)
    assert shares == pytest.approx([0.5, 0.5], abs=0.02)


def test_another_word_than_0_or_1_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERRATA_SHARD", "yes")
    with pytest.raises(ValueError, match=r"ERRATA_SHARD: wanted 1 .* or 0; found 'yes'"):
        wants_shards()
