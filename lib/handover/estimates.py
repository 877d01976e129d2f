"""How long a run will take, and how much memory it needs, before it begins.

Memory follows from the model's shapes (lib/experiments/sizing.py). Seconds are those of the last run of the same model
on this machine, where there was one, as far as a stage's work grows with the facts; else a measured run, scaled by the
weights of the matrices that a token passes and by how fast this machine multiplies: good to a factor of two or three,
which is said.
"""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig

from lib.core import cache, params
from lib.core.errors import InputError
from lib.core.files import read_json, write_json
from lib.core.params import Model
from lib.experiments.sizing import Device, Shape, Work, edit_need, shape_of_model
from lib.models.manifest import weights_folder

_MEASURED = {
    "knowledge": (62.0, 0.0), "recall": (10.0, 0.2), "paraphrase": (6.0, 0.4), "edit": (576.0, 0.0),
    "baseline": (48.0, 1.5), "score": (56.0, 1.7), "abilities": (57.0, 0.0), "base": (9.0, 0.0),
    "facts": (7.0, 0.0), "report": (4.0, 0.0), "statistics": (0.1, 0.0), "hypernet": (0.1, 0.0),
    "encoder": (3.0, 0.0), "neighbors": (5.0, 0.0), "frequencies": (1.0, 0.0), "evaluate": (2.0, 0.0),
}  # fmt: skip
"""Seconds of every stage and seconds a fact, of SmolLM2-135M on one thread of a Xeon, in float32, with 4,450 statements
of the pool asked for (docs/benchmarks.md, `make run`)."""
_WITH_MODEL = ("knowledge", "recall", "paraphrase", "edit", "baseline", "score", "abilities")
_MEASURED_FACTS = 30
"""Of so many facts; training takes time in proportion to their number, but not less than _LEAST_TRAINING of it."""
_LEAST_TRAINING = 0.4
"""Of half of the steps, with fewer edits in each (configs/recipes/held.yaml)."""
_MEASURED_WEIGHTS = 106_168_320
_MEASURED_SPEED = 165e9
"""Floating-point operations a second of a product of matrices there."""
_SPEED_EXPONENT = 0.5
"""Times fall with the square root of the speed of products alone: another server, with 60e9, was not slower."""
_TIMINGS = "timings.json"
_REMEDY = "Remove it: it holds no more than how long runs took here."
_SIDE = 1024
_GIB = 2**30
_FLOAT32 = 2
"""Times the bytes that sizing counts, where the model computes in float32."""


def model_shape(base: Path, preset: Model) -> Shape:
    """The shape of the model in `base`, with the adapter that its preset trains; no weights are loaded."""
    train = params.section("train", params.Train)
    lora = params.with_held_lora(preset, params.with_recipe(train, preset.train)).lora
    return shape_of_model(AutoConfig.from_pretrained(weights_folder(base), local_files_only=True), lora)


def memory_gib(shape: Shape, where: torch.device) -> float:
    """GiB that stage edit holds at most, about, on this device."""
    train = params.section("train", params.Train)
    work = Work(
        edits=1, pairs=1, pair_tokens=15, target_tokens=2, epochs=1, batch_size=32,
        micro_batch_tokens=train.micro_batch_tokens, prompts=1, targets=2, greedy_tokens=0, passage_tokens=0,
        text_rows=1, paraphrase_tokens=0, paraphrase_batch=1, paraphrase_context=0,
    )  # fmt: skip
    device = Device(name="", peak=1.0, share=1.0, memory=1.0, link=1.0, layer_seconds=0.0)
    return edit_need(shape, work, device).gib * (_FLOAT32 if where.type == "cpu" else 1)


def memory_available_gib(where: torch.device) -> float:
    """GiB that are free on the device: of a GPU's own memory, else of the host's."""
    if where.type == "cuda":
        return float(torch.cuda.mem_get_info(where)[0]) / _GIB
    about = Path("/proc/meminfo")
    lines = about.read_text().splitlines() if about.is_file() else []
    kilobytes = [int(line.split()[1]) for line in lines if line.startswith("MemAvailable")]
    pages = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in os.sysconf_names else "SC_PHYS_PAGES"
    return (kilobytes[0] * 2**10 if kilobytes else os.sysconf("SC_PAGE_SIZE") * os.sysconf(pages)) / _GIB


def stage_seconds(
    model: str, facts: int, shape: Shape | None, where: torch.device, settings: Sequence[str]
) -> tuple[dict[str, float], str]:
    """Seconds of every stage, and in words what they are taken from.

    Args:
        model: the preset's name, under which earlier runs are kept.
        shape: of the model; None = not known yet, and then stages that run it have no estimate unless one ran before.
        settings: what differs from the repository's; only runs with the same settings are taken.
    """
    factor = _factor(shape, where) if shape else None
    seconds = {}
    for name in _MEASURED:
        if name not in _WITH_MODEL:
            seconds[name] = _measured(name, facts)
        elif factor is not None:
            seconds[name] = _measured(name, facts) * factor
    if earlier := _timings().get(_key(model, where, settings)):
        before = earlier["facts"]
        for name, value in earlier["seconds"].items():
            if name in _MEASURED:  # the file may be of a version with other stages
                seconds[name] = value * _measured(name, facts) / _measured(name, before)
        return seconds, f"from the last run here, of {before} {'fact' if before == 1 else 'facts'}"
    if settings:
        return seconds, f"as without {', '.join(settings)}: these settings have not run here, and can change it much"
    return seconds, "the first run of this model here: scaled from another machine's, good to a factor of three"


def _measured(name: str, facts: int) -> float:
    """Seconds of a stage with so many facts, where _MEASURED was measured."""
    fixed, each = _MEASURED[name]
    return fixed * (max(_LEAST_TRAINING, facts / _MEASURED_FACTS) if name == "edit" else 1.0) + each * facts


def keep_timings(
    model: str, facts: int, seconds: Mapping[str, float], where: torch.device, settings: Sequence[str]
) -> None:
    """Remember how long the stages that ran have taken, for the next estimate with the same settings."""
    timings, key = _timings(), _key(model, where, settings)
    earlier = timings.get(key, {"seconds": {}})
    timings[key] = {"facts": facts, "seconds": {**earlier["seconds"], **seconds}}
    write_json(cache.cache_folder() / _TIMINGS, timings)


def _timings() -> dict[str, Any]:
    """Of the runs here, by `_key`. Raises InputError where the file of them is damaged."""
    path = cache.cache_folder() / _TIMINGS
    timings: dict[str, Any] = read_json(path, _REMEDY) if path.is_file() else {}
    if not isinstance(timings, dict) or not all(map(_is_timing, timings.values())):
        raise InputError(f"{path}: wanted the seconds of runs; found another content. {_REMEDY}")
    return timings


def _is_timing(value: Any) -> bool:
    """Whether it has the number of facts, and seconds by stage."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("facts"), int)
        and isinstance(value.get("seconds"), dict)
        and all(isinstance(seconds, int | float) for seconds in value["seconds"].values())
    )


def _key(model: str, where: torch.device, settings: Sequence[str]) -> str:
    return " ".join([f"{model}/{where.type}", *sorted(settings)])


def _factor(shape: Shape, where: torch.device) -> float:
    factor: float = shape.matrix_weights / _MEASURED_WEIGHTS * (_MEASURED_SPEED / _speed(where)) ** _SPEED_EXPONENT
    return factor


def _speed(where: torch.device) -> float:
    """Floating-point operations a second of a product of matrices on this device, over a tenth of a second."""
    matrix = torch.ones(_SIDE, _SIDE, device=where)
    product = (matrix @ matrix).sum().item()  # the first product starts what the others use
    began, count = time.perf_counter(), 0
    while (seconds := time.perf_counter() - began) < 0.1:
        product = (matrix @ matrix)[0, 0].item()  # waits for the device
        count += 1
    assert product == _SIDE
    return 2 * _SIDE**3 * count / seconds
