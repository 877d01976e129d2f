"""Scoring the same CounterFact-shaped records: `score`'s engine, the published code's loop, and lm-evaluation-harness.

The published loop takes a record at a time: 13 prompts x 2 targets as 26 padded sequences, logits of every position
kept, log-probabilities read token by token. The harness takes all pairs, longest first, in padded batches. All must
find the same -log p.

    python -m bench.score_speed --records 8
"""

import argparse

import torch

from bench.shapes import add_shape, records, shaped
from bench.side_by_side import Benchmark, Measurement, compare, timed
from lib.models.likelihood import score_targets
from lib.models.packing import Item, batches, pack


def errata(options: argparse.Namespace) -> Measurement:
    """lib.scoring.scorer's engine: prompts once, rows without padding, logits where a target token is predicted."""
    model = shaped(options)
    items = [item for record in records(options.records) for item in record]

    def work() -> list[float]:
        order = sorted(range(len(items)), key=lambda index: -items[index].length)
        nll: dict[int, list[float]] = {}
        for batch in batches(items, options.micro_batch_tokens, order):
            values = iter(score_targets(model, pack([items[index] for index in batch])).nll.tolist())
            nll |= {index: [next(values) for _ in items[index].targets] for index in batch}
        return [value for index in range(len(items)) for value in nll[index]]

    return timed(work, options.records)


def loop(options: argparse.Namespace) -> Measurement:
    """A record at a time, 26 padded sequences, all logits."""
    model = shaped(options)
    counterfact_records = records(options.records)

    def work() -> list[float]:
        with torch.no_grad():
            return [value for record in counterfact_records for value in record_nll(model, record)]

    return timed(work, options.records)


def harness(options: argparse.Namespace) -> Measurement:
    """lm-evaluation-harness: all pairs by length, padded batches, all logits, one row for targets of one token."""
    from bench.harness_side import harness_nll  # bench.gpu runs where lm-eval is not

    model = shaped(options)
    items = [item for record in records(options.records) for item in record]
    return timed(lambda: harness_nll(model, items, options.harness_batch), options.records)


def record_nll(model: torch.nn.Module, record: list[Item]) -> list[float]:
    """-log p of every target of a record: 26 padded sequences in one pass, all logits, token by token."""
    pairs = [(item.prompt, target) for item in record for target in item.targets]
    t = max(len(prompt) + len(target) for prompt, target in pairs)
    ids = torch.tensor([[*prompt, *target, *[0] * (t - len(prompt) - len(target))] for prompt, target in pairs])
    mask = torch.tensor([[1] * (len(p) + len(q)) + [0] * (t - len(p) - len(q)) for p, q in pairs])
    where = next(model.parameters()).device
    logits = model(input_ids=ids.to(where), attention_mask=mask.to(where)).logits  # [26, t, v]
    nll = []
    for row, (prompt, target) in enumerate(pairs):
        total = 0.0
        for position, token in enumerate(target):
            total -= torch.log_softmax(logits[row, len(prompt) + position - 1], dim=0)[token].item()
        nll.append(total)
    return nll


def main() -> None:
    """Parse options and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=8)
    add_shape(parser)
    parser.add_argument("--micro-batch-tokens", type=int, default=4096)
    parser.add_argument("--harness-batch", type=int, default=32, help="pairs in a batch of the harness")
    title = "Scoring CounterFact-shaped records (13 prompts, 2 targets), random weights of {shape}, float32"
    sides = {"errata": errata, "loop": loop, "harness": harness}
    compare(Benchmark(title=title, unit="record", tolerance=1e-3, sides=sides), parser)


if __name__ == "__main__":
    main()
