"""Find the layers to edit in a model that nothing is published for: `python -m apps.locate`, after `dvc repro recall`.

Causal tracing (lib/methods/locating/tracing.py) over facts that the model knows (data/recall.parquet), drawn with a
seed. Printed is what an editor's preset takes for the model's shape; `--write` puts it into configs/editors. `layer` is
that of the largest effect of the MLP at the subject's last token; `layers` of memit and alphaedit are five that end
with it, of other editors it alone. What depends on more than the place (clamp, rates) is left to the preset.
"""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from lib.core.editor_presets import check_preset, entry_for
from lib.core.errors import InputError
from lib.core.params import PRESETS, ROOT, read_params
from lib.core.records import Fact, RecalledFact, Request
from lib.core.run import progress, run
from lib.core.tables import read
from lib.editors import editor, names

EDITORS = ("rome", "r_rome", "memit", "emmet", "alphaedit", "betaedit", "loc_ft")
_SPREAD = {"memit": 5, "alphaedit": 5, "betaedit": 5}
"""Layers that an update is spread over, as published for GPT-2 XL and models of Llama's size."""


@dataclass(frozen=True, kw_only=True)
class FactLayer:
    """Where a model reads its facts."""

    shape: str
    layer: int
    about: str
    """How that was found, a line."""

    def entry(self, name: str) -> str:
        """The lines that the preset of an editor has for the shape, the comment first."""
        first = max(0, self.layer + 1 - _SPREAD.get(name, 1))
        has_layer = "layer" in editor(name).Settings.model_fields
        value = f"layer: {self.layer}" if has_layer else f"layers: {list(range(first, self.layer + 1))}"
        return f"  # {self.about}\n  {self.shape}:\n    {value}\n"


def main() -> None:
    options = _options()
    for name in options.editors:
        if not {"layer", "layers"} & {*editor(name).Settings.model_fields}:
            raise InputError(f"--editors: wanted editors that change chosen layers; found {name}")
    facts = known_facts(options.pool, options.recall, options.facts, options.seed)
    located = _located(options, facts)
    for name in options.editors:
        print(f"configs/editors/{name}.yaml:\nmodels:\n{located.entry(name)}")
        if options.write:
            write_entry(PRESETS / "editors" / f"{name}.yaml", located.shape, located.entry(name))
            check_preset(name, editor(name).Settings)


def known_facts(pool: Path, recall: Path, count: int, seed: int) -> list[Request]:
    """At most `count` facts that the model says, with the subject in the prompt, in a random order.

    Raises InputError where there is none, FileNotFoundError where a file is absent.
    """
    recalled = {(fact.prompt, fact.target) for fact in read(recall, RecalledFact) if fact.is_known}
    requests = [_request(fact) for fact in read(pool, Fact) if fact.subject and (fact.prompt, fact.target) in recalled]
    facts = [request for request in requests if request.subject_start is not None]
    if not facts:
        raise InputError(
            f"{recall}: wanted facts of {pool} that the model knows, with the subject in the prompt; found none. Take "
            "another dataset (-S dataset=counterfact), or ask for more facts (recall.sample)"
        )
    return Random(seed).sample(facts, min(count, len(facts)))


def _request(fact: Fact) -> Request:
    return Request(
        request_id=fact.fact_id, dataset="pool", subject=fact.subject, relation=fact.relation, prompt=fact.prompt,
        template=fact.template, target_new=fact.target, target_true=None,
    )  # fmt: skip


def _located(options: argparse.Namespace, facts: Sequence[Request]) -> FactLayer:
    from lib.methods.locating.tracing import Tracing, effects, window_of
    from lib.models.architecture import architecture, shape
    from lib.models.loading import load_model, load_tokenizer
    from lib.runtime.machine import device

    model = load_model(options.model, device())
    window = options.window or window_of(architecture(model).layers(model))
    how = Tracing(noise=options.noise, samples=options.samples, window=window, tokens=options.tokens, seed=options.seed)
    traced = effects(model, load_tokenizer(options.model), facts, how, lambda work: progress(work, "locate: facts"))
    print(f"p of the object: {traced.clean:.3f}, with a blurred subject {traced.blurred:.3f}")
    for layer, p in enumerate(traced.restored):
        mark = "  <- largest" if layer == traced.layer else ""
        print(f"layer {layer:3d} restored: {p:.3f}, effect {p - traced.blurred:+.3f}{mark}")
    about = (
        f"by apps.locate: {len(facts)} known facts, seed {options.seed}, noise {options.noise:g}, {options.samples} "
        f"draws, window {window}"
    )
    return FactLayer(shape=shape(model.config), layer=traced.layer, about=about)


def write_entry(path: Path, shape: str, entry: str) -> None:
    """Put `entry` at the end of the preset's section models, in place of a null for the same shape.

    Raises InputError where the preset has values for the shape already, or another section behind.
    """
    models = read_params(path).get("models") or {}
    present = entry_for(models, shape)
    text = path.read_text(encoding="utf-8")
    if present is not None and models[present] is not None:
        raise InputError(f"{path}: models.{present}: has values already; delete them to take those of apps.locate")
    behind = text.partition("\nmodels:")[2]
    if not behind or re.search(r"^\w", behind, re.MULTILINE):
        raise InputError(f"{path}: wanted models as the last section, to write behind; found another one")
    lines = [line for line in text.splitlines() if not line.startswith(f"  {present}: null")]
    path.write_text("\n".join(lines) + "\n" + entry, encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "models/base", help="folder of the model")
    parser.add_argument("--pool", type=Path, default=ROOT / "data/pool.parquet", help="facts, of stage recall")
    parser.add_argument("--recall", type=Path, default=ROOT / "data/recall.parquet", help="which of them it knows")
    parser.add_argument("--editors", nargs="+", choices=names(), default=list(EDITORS), metavar="EDITOR")
    parser.add_argument("--facts", type=int, default=50, help="facts that are traced, at most")
    parser.add_argument("--samples", type=int, default=10, help="draws of noise for each")
    parser.add_argument("--noise", type=float, default=3.0, help="in standard deviations of the subjects' embeddings")
    parser.add_argument("--window", type=int, help="layers restored together; else a fifth of the depth")
    parser.add_argument("--tokens", type=int, default=4096, help="of a forward pass, at most")
    parser.add_argument("--seed", type=int, default=0, help="draws the facts and the noise")
    parser.add_argument("--write", action="store_true", help="put the layers into configs/editors")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
