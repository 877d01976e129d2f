"""What the stages' figures are called on the page: words in place of the keys of their metrics files."""

from collections.abc import Mapping
from typing import Any

from lib.metrics.weights import ABOVE
from lib.metrics.weights import in_words as weight_share
from lib.report.wording import flat

_WORDS = {
    "acc": "accuracy",
    "acc_norm": "accuracy by the likelihood of a letter",
    "backend": "written by",
    "base_largest": "largest singular value, unedited",
    "bytes": "size in bytes",
    "change": "change of the weights",
    "contradictions": "contradictions among the rows",
    "copy": "copy of the prompt",
    "dropped": "left out",
    "dropped_contradiction": "left out: contradicts an edit",
    "dropped_prompt": "left out: prompt of an edit",
    "dropped_triple": "left out: subject and relation of an edit",
    "duplicates": "rows that stand twice",
    "evaluation": "paraphrases written for the evaluation",
    "evaluation_shortfall": "fewer for the evaluation than asked for",
    "far": "far from the prompt in meaning",
    "fewshot_valid": "written from examples and fit for use, percent",
    "frobenius": "Frobenius norm of the change",
    "kept": "in use",
    "kept_chat": "in use: written in a chat",
    "kept_fewshot": "in use: written from examples",
    "kept_given": "in use: given with the facts",
    "kept_prefix": "in use: with a random text before",
    "kept_rules": "in use: by rules of grammar",
    "known": "known before, percent",
    "largest": "largest singular value of the change",
    "linear_left_out": "share of linear layers left out",
    "loss": "loss at the end, nats a token",
    "manhattan": "Manhattan norm of the change",
    "max_grad_norm": "limit on the gradient's norm",
    "neighbors": "neighbors in use",
    "pairs": "training pairs",
    "peak_memory_mib": "most memory, MiB",
    "pool": "unedited facts to choose from",
    "prefix_cached": "prefixes written before, percent",
    "rank": "rank of the change",
    "requests": "facts that may be edited",
    "same_targets": "rows whose new object is the old one",
    "sha256": "SHA-256",
    "shortfall": "fewer than asked for",
    "subjects_absent": "prompts without their subject",
    "subjects_repeated": "prompts with their subject twice",
    "text": "pieces of plain text",
    "text_heldout": "of them held out for measuring",
    "text_source": "plain text from",
    "text_tokens": "tokens of a text",
}
"""By a key's part between dots, as far as its own words do not say it."""


def named(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The leaves of nested figures as (words, value), as lib.report.wording.flat finds them."""
    return [(in_words(key), value) for key, value in flat(values)]


def in_words(key: str) -> str:
    """A key of a metrics file in words: `dropped.copy` is "left out: copy"; a share is named by its limit."""
    head, is_share, limit = key.rpartition(ABOVE)
    if is_share:
        return f"{in_words(head.rstrip('.'))}: entries {weight_share(ABOVE + limit)}, percent"
    return ": ".join(_WORDS.get(part, part.replace("_", " ")) for part in key.split("."))
