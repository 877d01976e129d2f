"""Chunks of paraphrase candidates made by the machines of a Ray cluster: the only module that imports ray.

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
from lib.core.records import Paraphrase, Request
from lib.core.tables import from_plain
from lib.generation.backends import generator
from lib.paraphrases.candidates import candidates
from lib.paraphrases.chunks import Chunk, store

CLUSTER = "ERRATA_RAY"
_WORKERS = "ERRATA_PROCESSES"


def wanted() -> bool:
    """Whether the user asks for Ray."""
    return CLUSTER in os.environ


def available() -> bool:
    """Whether the ray package is installed."""
    return importlib.util.find_spec("ray") is not None


def make_on_ray(
    chunks: Sequence[Chunk], para: Para, base: Path, progress: Callable[[Sequence[Chunk]], Iterable[Chunk]]
) -> None:
    """Return when every chunk is made, by the engine that `para` names with the model of `base`.

    Raises InputError where ray is not installed, or where the cluster has too few GPUs for one engine.
    """
    if not available():
        raise InputError(f"{CLUSTER} is set, but the package ray is not installed: pip install -r requirements-ray.txt")
    missing = [one for one in chunks if not one.made]
    with _cluster() as ray:
        gpus_each, workers = _engines(ray.cluster_resources(), para)
        rows = [{"place": place, "chunk": _written(chunk)} for place, chunk in enumerate(missing)]
        made = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            _Worker,
            fn_constructor_kwargs={"para": para.model_dump_json(), "base": str(base.resolve())},
            compute=ray.data.ActorPoolStrategy(size=min(workers, len(rows))),
            num_gpus=gpus_each,
        )
        for row, _ in zip(made.iter_rows(), progress(missing), strict=True):
            store(missing[row["place"]], [Paraphrase(**one) for one in json.loads(row["found"])])


class _Worker:
    """A process of the cluster's with an engine, which makes the candidates of one chunk after another."""

    def __init__(self, para: str, base: str) -> None:
        self._engine = ExitStack().enter_context(generator(Para.model_validate_json(para), Path(base)))

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        chunk = json.loads(row["chunk"])
        requests = [from_plain(Request, one) for one in chunk["requests"]]
        found = candidates(requests, self._engine, Para.model_validate(chunk["para"]))
        return {"place": row["place"], "found": json.dumps([asdict(one) for one in found])}


def _written(chunk: Chunk) -> str:
    return json.dumps({"para": chunk.para.model_dump(), "requests": [asdict(one) for one in chunk.requests]})


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
