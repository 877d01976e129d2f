"""The few-shot paraphrase prompt: three worked examples, then a new input whose numbered list the model continues.

The idea is figure 1 of "Model Editing by Standard Fine-Tuning" (arXiv 2402.11078): rewrite an unfinished statement
without changing its meaning, so that the same words still complete it, in as many ways as possible. The words and the
examples here are our own. The part that all prompts share comes first, so that an engine computes it once.
"""

import re
from collections.abc import Sequence

_INSTRUCTION = (
    "Rewrite each unfinished statement in as many different ways as possible. "
    "Keep its meaning, so that the same ending still completes it."
)
_EXAMPLES = (
    (
        "Ada Lovelace was the daughter of",
        ("Ada Lovelace had as her father", "The father of Ada Lovelace was", "Ada Lovelace was a child of"),
    ),
    (
        "The Danube flows into the",
        ("The mouth of the Danube is in the", "The Danube ends in the", "The waters of the Danube reach the"),
    ),
    (
        "What is the capital of Peru?",
        ("Which city is the capital of Peru?", "Peru has what capital?", "The capital of Peru is which city?"),
    ),
)
_LINE = re.compile(r"^\s*\d+\)\s*Paraphrased:\s*(.*\S)\s*$")

STOP = "INPUT:"
"""Where this begins in a continuation, the model has gone on to an input of its own."""


def block(prompt: str, paraphrases: Sequence[str] = ()) -> str:
    """One input with its numbered list; without paraphrases it ends where the model continues the list."""
    lines = [f"{number}) Paraphrased: {text}\n" for number, text in enumerate(paraphrases, start=1)]
    return f"{STOP} {prompt}\n" + ("".join(lines) or "1) Paraphrased:")


def shared_prefix() -> str:
    """The instruction and the worked examples, with which every prompt begins."""
    return f"{_INSTRUCTION}\n\n" + "\n".join(block(prompt, paraphrases) for prompt, paraphrases in _EXAMPLES) + "\n"


def parse(continuation: str) -> list[str]:
    """The paraphrases in the model's continuation of `block(prompt)`, in order, complete lines only.

    The last line counts only where the text goes on after it, since it may have been cut by the length limit.
    """
    text = "1) Paraphrased:" + continuation.split(STOP)[0]
    lines = text.split("\n")
    return [match.group(1) for line in lines[:-1] if (match := _LINE.match(line))]
