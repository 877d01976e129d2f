"""Harm to plain text: the edited model's perplexity over the unedited one's, on held-out texts.

    perplexity = exp(sum of -log p / number of predicted tokens)
    ratio = perplexity after / perplexity before = exp(mean difference of -log p a token)

The interval is that of the mean difference over texts, each weighing as many tokens as it has: 1.96 standard errors.
"""

import math

import numpy as np
import polars as pl


def perplexity_ratio(rows: pl.DataFrame) -> dict[str, float]:
    """perplexity_ratio, its ci95, the edited model's perplexity and the number of texts, from text_nll.parquet's rows.

    {} without an edited model. Raises ValueError where the texts before and after are not the same.
    """
    before = rows.filter(pl.col("when") == "before").sort("index")
    after = rows.filter(pl.col("when") == "after").sort("index")
    if before.is_empty() or after.is_empty():
        return {}
    if not before.select("index", "tokens").equals(after.select("index", "tokens")):
        raise ValueError("text_nll: the texts before and after the edit are not the same")
    tokens = before["tokens"].to_numpy().astype(float)
    first, second = before["nll"].to_numpy(), after["nll"].to_numpy()
    difference = (second - first).sum() / tokens.sum()
    residuals = second - first - difference * tokens
    error = math.sqrt(float(np.square(residuals).sum())) / tokens.sum()
    ratio = math.exp(difference)
    return {
        "perplexity_ratio": round(ratio, 4),
        "perplexity_ratio_ci95": round(ratio * 1.96 * error, 4),
        "perplexity": round(math.exp(second.sum() / tokens.sum()), 3),
        "texts": len(before),
    }
