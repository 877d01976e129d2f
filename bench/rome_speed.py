"""ROME's edits of a real model: `edit`'s engine one at a time, and the loop of a published port.

Contexts are drawn and the second moment is inverted before the clock starts, on both sides: both do so once a run. The
sides must report the same last loss of every edit.

    python -m bench.rome_speed --edits 6
    python -m bench.rome_speed --edits 6 --together
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from bench.published_search import published_key, published_loop
from bench.side_by_side import Benchmark, Measurement, compare, timed
from lib.core.records import Request
from lib.core.texts import fill
from lib.editors import rome
from lib.edits.apply import shape_of
from lib.methods.locating.contexts import rome_contexts
from lib.methods.locating.optimisation import Optimisation
from lib.methods.locating.rank_one import Prepared, edit_each, layer_of
from lib.models.architecture import architecture
from lib.models.manifest import MANIFEST, weights_folder
from lib.runtime.quiet import quiet_transformers

OPTIMISATION = Optimisation(steps=20, lr=0.5, weight_decay=0.5, kl=0.0625, clamp=4.0, stop=0.05, tokens=8192)
"""ROME's own settings."""
_TEMPLATES = (
    "The mother tongue of {} is", "{} was born in the city of", "The headquarters of {} are in",
    "{} plays the instrument", "The capital of {} is", "{} is a citizen of",
)  # fmt: skip
_SUBJECTS = ("Danielle Darrieux", "Marie Curie", "Toko Yasuda", "Apple Inc", "Autonomous University of Madrid", "Anaal")
_TARGETS = ("English", "Paris", "Rome", "Seattle", "Germany", "the guitar")


def requests(count: int) -> list[Request]:
    """Edits that no text supports: every subject in every template, a target by turns."""
    combined = [(template, subject) for subject in _SUBJECTS for template in _TEMPLATES][:count]
    return [
        Request(
            request_id=f"e{number}", dataset="own", subject=subject, relation=f"r{number}", template=template,
            prompt=fill(template, subject), target_new=_TARGETS[number % len(_TARGETS)], target_true=None,
        )
        for number, (template, subject) in enumerate(combined)
    ]  # fmt: skip


def loaded(folder: Path) -> tuple[Any, Any]:
    """A frozen model in float32 and its tokenizer: a folder of stage base, or as transformers stores one."""
    weights = weights_folder(folder) if (folder / MANIFEST).is_file() else folder
    with quiet_transformers():
        model = AutoModelForCausalLM.from_pretrained(weights, dtype=torch.float32, local_files_only=True)
    return model.eval().requires_grad_(False), AutoTokenizer.from_pretrained(weights, local_files_only=True)


def settings() -> rome.Settings:
    """The papers', on every edit's subject."""
    return rome.Settings(
        layer="auto", token="subject_last", moments=True, context_tokens=[5] * 10 + [10] * 10, seed=0,
        optimisation=OPTIMISATION,
    )  # fmt: skip


def errata(options: argparse.Namespace) -> Measurement:
    """lib.methods.locating: what a shift cannot change is computed once."""
    model, tokenizer = loaded(options.model)
    how, edits = settings(), requests(options.edits)
    layer, contexts, moment = _set_up(model, tokenizer, how)
    prepared = Prepared(layer=layer, contexts=contexts, factored=torch.linalg.lu_factor(moment))
    context: Any = _Prepared(prepared)
    together = len(edits) if options.together else 1

    def work() -> list[float]:
        losses = []
        for start in range(0, len(edits), together):
            batch = edits[start : start + together]
            of_batch = edit_each(model, tokenizer, batch, how, context, keys="rome", name="rome")
            losses += [float(edit.info["loss"][0]) for edit in of_batch]
        return losses

    return timed(work, len(edits))


def published(options: argparse.Namespace) -> Measurement:
    """A request at a time, whole passes, log-probabilities of every position."""
    model, tokenizer = loaded(options.model)
    how, edits = settings(), requests(options.edits)
    layer, contexts, moment = _set_up(model, tokenizer, how)
    arch, inverse = architecture(model), torch.linalg.inv(moment).float()
    path = arch.mlp_out_of(layer)

    def work() -> list[float]:
        losses = []
        for request in edits:
            direction = inverse @ published_key(model, tokenizer, request, path, contexts)
            direction = direction / direction.norm()
            value, trace = published_loop(model, tokenizer, request, arch.mlp_of(layer), contexts, how.optimisation)
            key = published_key(model, tokenizer, request, path, ["{}"])
            output = model.get_submodule(path)(key)
            torch.outer((value - output) / (key @ direction), direction)
            losses.append(round(trace[-1], 4))
        return losses

    return timed(work, len(edits))


class _Prepared:
    """The part of an editor's context that edit_each reads."""

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared


def _set_up(model: Any, tokenizer: Any, how: rome.Settings) -> tuple[int, list[str], Tensor]:
    """The edited layer, sampled contexts, and a second moment [d_in, d_in] float64 of random keys."""
    layer = layer_of(model, how)
    (contexts,) = rome_contexts(model, tokenizer, how.context_tokens, how.seed)
    _, d_in = shape_of(model.get_submodule(architecture(model).mlp_out_of(layer)))
    keys = torch.randn(4 * d_in, d_in, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return layer, contexts, keys.T @ keys / len(keys)


def edits_parser(description: str | None, edits: int) -> argparse.ArgumentParser:
    """The options of a benchmark on `requests`: the model's folder, and how many edits of it, by default so many."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/base"))
    parser.add_argument("--edits", type=int, default=edits)
    return parser


def main() -> None:
    """Parse options and compare."""
    parser = edits_parser(__doc__, 6)
    parser.add_argument("--together", action="store_true", help="ours shares passes over all edits")
    sides = {"errata": errata, "published": published}
    compare(Benchmark(title="ROME, float32", unit="edit", tolerance=2e-3, sides=sides), parser)


if __name__ == "__main__":
    main()
