"""What runs beside what, and where it is allowed."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lib.core.params import read_params
from lib.handover import beside, estimates
from lib.handover.bases import named_model
from lib.handover.beside import Phase, has_cores_for_two, has_gpu, has_memory_for_two, phases
from lib.models.fetching import write_manifest
from tests.helpers.models import GOLDEN
from tests.helpers.pipelines import DEPS

NAMES = [*DEPS]
WHOLE_RUN = [
    Phase(targets=["edit", "frequencies"], side="baseline", beside="edit"),
    Phase(targets=["evaluate"], side="abilities", beside="score"),
    Phase(targets=["report"]),
]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("report", WHOLE_RUN),
        ("evaluate", [WHOLE_RUN[0], Phase(targets=["evaluate"])]),
        ("score", [Phase(targets=["edit"], side="baseline", beside="edit"), Phase(targets=["score"])]),
        ("edit", [Phase(targets=["edit"])]),
        ("abilities", [Phase(targets=["abilities"])]),
    ],
)
def test_what_runs_for_a_target_is_what_it_needs(target: str, expected: list[Phase]) -> None:
    names = NAMES[: NAMES.index(target) + 1]
    assert phases(names, True) == expected
    assert phases(names, False) == [Phase(targets=[target])]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """With two cores and without a GPU."""
    for name in ("ERRATA_PROCESSES", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(beside, "has_gpu", lambda: False)
    monkeypatch.setattr(beside, "cores", lambda: 2)
    return monkeypatch


def test_two_cores_without_a_gpu_are_enough(machine: pytest.MonkeyPatch) -> None:
    assert has_cores_for_two()
    for count in (1, 16):
        machine.setattr(beside, "cores", lambda count=count: count)
        assert not has_cores_for_two()


def test_a_gpu_is_for_one_stage(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(beside, "has_gpu", lambda: True)
    assert not has_cores_for_two()


@pytest.mark.parametrize(("name", "value"), [("ERRATA_PROCESSES", "2"), ("WORLD_SIZE", "1")])
def test_a_stage_of_several_processes_has_the_cores_for_itself(
    machine: pytest.MonkeyPatch, name: str, value: str
) -> None:
    machine.setenv(name, value)
    assert not has_cores_for_two()


@pytest.mark.parametrize(("file", "expected"), [("nvidia0", True), ("kfd", True), ("nvidiactl", False)])
def test_a_gpu_is_seen_by_its_drivers_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, expected: bool
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / file).touch()
    assert has_gpu(tmp_path) == expected
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert not has_gpu(tmp_path)


def test_there_is_memory_for_two_where_twice_what_the_model_needs_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, base = named_model(str(GOLDEN / "models" / "llama")), tmp_path / "models" / "base"
    (tmp_path / "configs" / "models").mkdir(parents=True)
    YAML().dump(read_params() | {"model": named.name}, tmp_path / "params.yaml")
    YAML().dump(dict(named.values), tmp_path / "configs" / "models" / f"{named.name}.yaml")
    base.mkdir(parents=True)
    write_manifest(base, named.preset)
    monkeypatch.setattr(estimates, "memory_gib", lambda shape, where: 1.0)
    monkeypatch.setattr(estimates, "memory_available_gib", lambda where: 2.0)
    assert has_memory_for_two(tmp_path)
    monkeypatch.setattr(estimates, "memory_available_gib", lambda where: 1.9)
    assert not has_memory_for_two(tmp_path)
