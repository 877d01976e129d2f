"""How long a run will take: from the last run with the same settings, else from a measured one, which is said."""

from pathlib import Path

import pytest
import torch

from lib.core import cache, params
from lib.core.errors import InputError
from lib.experiments.sizing import shape_of_model
from lib.handover import estimates
from lib.handover.estimates import keep_timings, stage_seconds
from tests.helpers.models import tiny_model

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_a_run_with_other_settings_is_not_taken_for_this_one() -> None:
    keep_timings("smollm2-135m", 30, {"edit": 1000.0}, CPU, ["editor=rome"])
    seconds, source = stage_seconds("smollm2-135m", 30, None, CPU, [])
    assert "edit" not in seconds
    assert source.startswith("the first run of this model here")
    keep_timings("smollm2-135m", 30, {"edit": 60.0}, CPU, [])
    assert stage_seconds("smollm2-135m", 60, None, CPU, [])[0]["edit"] == 120.0
    seconds, source = stage_seconds("smollm2-135m", 30, None, CPU, ["editor=rome"])
    assert seconds["edit"] == 1000.0
    assert source == "from the last run here, of 30 facts"


@pytest.mark.parametrize("content", ["[]", "{", '{"a": 1}', '{"a": {"facts": 3, "seconds": {"edit": "x"}}}'])
def test_damaged_times_of_earlier_runs_are_refused_by_their_file(content: str) -> None:
    """The fault: a TypeError or an AttributeError ended the command with a traceback."""
    path = cache.cache_folder() / "timings.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    with pytest.raises(InputError, match=r"timings\.json: wanted .* Remove it"):
        stage_seconds("smollm2-135m", 30, None, CPU, [])


def test_settings_that_have_not_run_are_named() -> None:
    _, source = stage_seconds("smollm2-135m", 30, None, CPU, ["editor=rome", "seed=1"])
    assert source == "as without editor=rome, seed=1: these settings have not run here, and can change it much"


def test_a_stage_takes_longer_for_more_facts_by_what_its_share_of_them_is() -> None:
    """The fault: after the README's one fact, thirty were said to take 14 hours; they took 22 minutes."""
    keep_timings("smollm2-135m", 1, {"knowledge": 400.0, "edit": 720.0, "score": 178.0, "report": 5.0}, CPU, [])
    seconds, source = stage_seconds("smollm2-135m", 30, None, CPU, [])
    assert seconds["knowledge"] == 400.0  # of the pool, not of the facts
    assert seconds["report"] == 5.0
    assert seconds["edit"] == 1800.0  # of half of the steps and fewer edits in each
    assert 178.0 < seconds["score"] < 400.0
    assert source == "from the last run here, of 1 fact"
    keep_timings("smollm2-135m", 30, {"score": seconds["score"]}, CPU, [])
    assert stage_seconds("smollm2-135m", 1, None, CPU, [])[0]["score"] == pytest.approx(178.0)


def test_training_takes_time_in_proportion_to_the_facts_but_for_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "_factor", lambda shape, where: 1.0)  # not how fast this machine happens to be
    shape = shape_of_model(tiny_model("llama").config, params.Lora(r=2, alpha=2, targets=["down_proj"]))
    of_facts = {facts: stage_seconds("folder", facts, shape, CPU, [])[0]["edit"] for facts in (1, 3, 30, 300)}
    assert of_facts[1] == of_facts[3] == pytest.approx(0.4 * of_facts[30])
    assert of_facts[300] == pytest.approx(10 * of_facts[30])
