"""Print what stages edit, score and paraphrase need on GPUs, from shapes alone: `python -m apps.sizing`.

Nothing is loaded or run. What is assumed is in docs/sizing.md; Rank, epochs and batch size are the model preset's.
"""

import argparse
from dataclasses import asdict
from statistics import mean

from lib.core import params
from lib.core.run import run
from lib.experiments import sizing
from lib.experiments.configs import CONFIGS
from lib.experiments.dry_run import DEVICES

MODELS = ("gpt2-xl", "gpt-j-6b", "llama-3.1-8b")
"""Those of docs/sizing.md."""
_SHARDED = {"edit": sizing.edit_need, "score": sizing.score_need, "score, texts": sizing.text_need}
_GENERATION_PROMPTS = 10
"""CounterFact's, an edit."""


def work(model: params.Model, edits: int, paraphrases: int, neighbors: int, rows: int) -> sizing.Work:
    """That many CounterFact edits under a model preset's published recipe and the other params of params.yaml."""
    train, para = params.section("train", params.Train), params.section("para", params.Para)
    score = params.section("score", params.Scoring)
    recipe = params.with_recipe(train.model_copy(update={"objective": "published"}), model.train)
    return sizing.Work(
        edits=edits,
        pairs=edits * (1 + paraphrases + neighbors),
        pair_tokens=15,
        target_tokens=2,
        epochs=int(recipe.epochs),
        batch_size=int(recipe.batch_size),
        micro_batch_tokens=train.micro_batch_tokens,
        prompts=13,
        targets=2,
        greedy_tokens=3 * (13 + score.greedy.tokens),
        passage_tokens=_GENERATION_PROMPTS * score.generations.tokens,
        text_rows=rows,
        paraphrase_tokens=para.samples * para.max_tokens + round(paraphrases * mean(para.prefix_tokens)),
        paraphrase_batch=256,
        paraphrase_context=250,
    )


def needs(names: list[str], device: sizing.Device, edits: int, paraphrases: int, neighbors: int, rows: int) -> str:
    """The table of these models on this device, as Markdown."""
    stage_needs: list[tuple[str, str, sizing.Need, sizing.Need, sizing.Need | None]] = []
    for name in names:
        preset = params.preset("models", name, params.Model)
        shape, todo = (
            sizing.shape_of_model(CONFIGS[name], preset.lora),
            work(preset, edits, paraphrases, neighbors, rows),
        )
        for stage, need in _SHARDED.items():
            spread = need(shape, todo, device, 8, sharded=True)
            stage_needs.append((name, stage, need(shape, todo, device), need(shape, todo, device, 8), spread))
        alone, eight = (sizing.paraphrase_need(shape, todo, device, processes) for processes in (1, 8))
        stage_needs.append((name, "paraphrase", alone, eight, None))
    return sizing.table(stage_needs)


def main() -> None:
    """Print the table and the device's assumed figures."""
    options = _options()
    device = DEVICES[options.device]
    print(", ".join(f"{name} {value:g}" if name != "name" else value for name, value in asdict(device).items()))
    print(needs(options.models, device, options.requests, options.paraphrases, options.neighbors, options.rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=list(CONFIGS), default=list(MODELS))
    parser.add_argument("--device", choices=list(DEVICES), default="h100")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--paraphrases", type=int, default=15, help="for every edit")
    parser.add_argument("--neighbors", type=int, default=20, help="for every edit")
    parser.add_argument("--rows", type=int, default=256, help="texts that score writes together: score.rows")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
