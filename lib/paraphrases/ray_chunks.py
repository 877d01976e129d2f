"""Chunks of continuations drawn by the machines of a Ray cluster: the only module that imports ray.

Ray Data hands chunks to workers that each hold one engine, with vLLM one for each GPU (or group of GPUs), and brings
the texts back to this process, which alone writes. So the machines need the model and this environment, and no folder
that they share. ERRATA_RAY names the cluster: an address, `auto`, or `local` for workers on this machine only.
"""

import importlib.util
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lib.core.errors import InputError
from lib.core.params import ROOT, Para
from lib.core.records import Request
from lib.core.tables import from_plain
from lib.generation.backends import generator
from lib.generation.engine import Sampling
from lib.paraphrases.chunks import Chunk, add
from lib.paraphrases.draws import SampledText, SamplingPlan, draw

CLUSTER = "ERRATA_RAY"
_WORKERS = "ERRATA_PROCESSES"


def requested() -> bool:
    """Whether the user asks for Ray."""
    return CLUSTER in os.environ


def available() -> bool:
    """Whether the ray package is installed."""
    return importlib.util.find_spec("ray") is not None


def complete_on_ray(
    chunks: Sequence[Chunk], para: Para, base: Path, progress: Callable[[Sequence[Chunk]], Iterable[Chunk]]
) -> None:
    """Return when every chunk is complete, through the engine that `para` names with the model of folder `base`.

    Raises InputError where ray is not installed, or where the cluster has too few GPUs for one engine.
    """
    if not available():
        raise InputError(f"{CLUSTER} is set, but the package ray is not installed: pip install -r requirements-ray.txt")
    incomplete = [chunk for chunk in chunks if not chunk.complete]
    with _cluster() as ray:
        gpus_each, workers = _engines(ray.cluster_resources(), para)
        tasks = [{"position": position, "chunk": _to_json(chunk)} for position, chunk in enumerate(incomplete)]
        results = ray.data.from_items(tasks, override_num_blocks=len(tasks)).map(
            _Worker,
            fn_constructor_kwargs={"para": para.model_dump_json(), "base": str(base.resolve())},
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(tasks))),
            num_gpus=gpus_each,
        )
        for result, _ in zip(results.iter_rows(), progress(incomplete), strict=True):
            continuations = [SampledText(**values) for values in json.loads(result["continuations"])]
            add(incomplete[result["position"]], continuations)


class _Worker:
    """A process of the cluster's with an engine, which draws what one chunk after another lacks."""

    def __init__(self, para: str, base: str) -> None:
        self._engine = ExitStack().enter_context(generator(Para.model_validate_json(para), Path(base)))

    def __call__(self, task: dict[str, Any]) -> dict[str, Any]:
        chunk = json.loads(task["chunk"])
        requests = [from_plain(Request, values) for values in chunk["requests"]]
        continuations = draw(requests, self._engine, _plan(chunk["plan"]), chunk["missing"])
        return {
            "position": task["position"],
            "continuations": json.dumps([asdict(continuation) for continuation in continuations]),
        }


def _to_json(chunk: Chunk) -> str:
    requests = [asdict(request) for request in chunk.requests]
    return json.dumps({"plan": asdict(chunk.plan), "requests": requests, "missing": list(chunk.missing)})


def _plan(values: dict[str, Any]) -> SamplingPlan:
    samplings = tuple(from_plain(Sampling, sampling) for sampling in values["samplings"])
    return SamplingPlan(kind=values["kind"], seed=values["seed"], samplings=samplings)


def _engines(resources: dict[str, float], para: Para) -> tuple[int, int]:
    """GPUs of an engine, and the number of engines."""
    gpus = int(resources.get("GPU", 0))
    if not gpus:
        return 0, int(os.environ.get(_WORKERS, "1"))
    if gpus < para.tensor_parallel:
        raise InputError(f"para.tensor_parallel: wanted {para.tensor_parallel} GPUs; the Ray cluster has {gpus}")
    return para.tensor_parallel, gpus // para.tensor_parallel


@contextmanager
def _cluster() -> Iterator[Any]:
    """The ray module, connected; what was started here is stopped on exit."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    import ray.data

    local = os.environ[CLUSTER] == "local"
    ray.init(
        address=os.environ[CLUSTER],
        runtime_env={"py_modules": [str(ROOT / "lib")]},
        **({"num_cpus": int(os.environ.get(_WORKERS, "1")) + 1, "include_dashboard": False} if local else {}),
    )
    try:
        yield ray
    finally:
        ray.shutdown()
