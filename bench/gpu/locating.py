"""ROME one at a time and many at once, MEMIT's z of 100 requests, second moments at GPT-J's width."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.gpu.shapes import Machine, contexts, edits, layer_of, random_model, texts, word_tokenizer
from bench.gpu.timing import repeated
from bench.published_search import published_key, published_loop
from lib.core.records import Request
from lib.methods.locating.second_moments import second_moments
from lib.methods.locating.target_vectors import target_values
from lib.models.architecture import architecture


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """The fields of lib.methods.locating.optimisation.Optimisation, whose module wants packages not needed here."""

    steps: int
    lr: float
    weight_decay: float
    kl: float
    clamp: float
    stop: float
    tokens: int


def _settings(**changed: Any) -> Any:
    """The papers'; no search stops early, so that every edit is the whole work."""
    values = {"steps": 20, "lr": 0.5, "weight_decay": 0.5, "kl": 0.0625, "clamp": 4.0, "stop": 0.0, "tokens": 65_536}
    return SearchSettings(**values | changed)


def rome_edits(machine: Machine) -> dict[str, Any]:
    """Seconds an edit of GPT-2 XL's shape, 20 iterations in 21 contexts; the published loop on the same edits."""
    model, tokenizer = random_model("gpt2-xl", machine), word_tokenizer()
    arch, layer = architecture(model), layer_of("gpt2-xl", model)
    path, part, opened = arch.mlp_of(layer), arch.mlp_out_of(layer), contexts([5] * 10 + [10] * 10)
    how = _settings(steps=3) if machine.tiny else _settings()
    result: dict[str, Any] = {}
    last: dict[str, float] = {}

    def published(request: Request) -> None:
        published_key(model, tokenizer, request, part, opened)
        last["published"] = published_loop(model, tokenizer, request, path, opened, how)[1][-1]
        published_key(model, tokenizer, request, part, ["{}"])

    def engine(requests: list[Request]) -> None:
        values = target_values(model, tokenizer, requests, path, "subject_last", opened, how, [(part, "input")])
        last["engine"] = values.loss[0][-1]

    for together in (1, 3) if machine.tiny else (1, 16, 64):
        requests = edits(together)
        timing = repeated(lambda requests=requests: engine(requests), machine)  # type: ignore[misc]
        result[f"together_{together}"] = timing | {"seconds_an_edit": timing["seconds"] / together}
    result["published"] = repeated(lambda: published(edits(1)[0]), machine)
    result["ratio_one_at_a_time"] = result["published"]["seconds"] / result["together_1"]["seconds"]
    return result | {"last_losses": last}


def memit_z(machine: Machine) -> dict[str, Any]:
    """Seconds of z of 100 requests of GPT-J's shape, 25 iterations in 6 contexts."""
    model, tokenizer = random_model("gpt-j-6b", machine), word_tokenizer()
    block = architecture(model).block(min(8, model.config.num_hidden_layers - 2))
    how = _settings(steps=2 if machine.tiny else 25, clamp=0.75)
    requests, opened = edits(4 if machine.tiny else 100), contexts([10] * 5)
    timing = repeated(lambda: target_values(model, tokenizer, requests, block, "subject_last", opened, how), machine)
    return timing | {"requests": len(requests)}


def moments(machine: Machine) -> dict[str, Any]:
    """Seconds for 100,000 tokens at GPT-J's width: six blocks, second moments of all of them."""
    model, tokenizer = random_model("gpt-j-6b", machine, layers=6), word_tokenizer()
    arch, tokens = architecture(model), 2_000 if machine.tiny else 100_000
    paths, plain = [arch.mlp_out_of(layer) for layer in range(arch.layers(model))], texts(tokens)
    with tempfile.TemporaryDirectory() as folder:
        timing = repeated(
            lambda: second_moments(model, tokenizer, plain, paths, 16_384, Path(folder), lambda parts: parts), machine
        )
    return timing | {"tokens": tokens, "layers": len(paths)}
