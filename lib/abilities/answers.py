"""What an answer to a general-ability task is worth: pure functions from texts to numbers.

Two readings of the tasks of "Model Editing Harms General Abilities of LLMs" (arXiv 2401.04700). Without a prefix: what
the paper says it measures. `published_...`: what the authors' released code computes, with its defects (it looks for
the label anywhere in the text, searches the prompt for the answer, drops the summary's last 13 characters, and so on).
`answer` is always the continuation alone, without the prompt. Values are in [0, 1], higher is better.
"""

import math
import re
import string
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?|-?\.\d+")
_SEPARATORS = re.compile(r"[,;\n]|\band\b")
_END_OF_TEXT = 13
"""Length of "<|endoftext|>", which the released code takes off every summary, whether it is there or not."""
ROUGES = ("rouge1", "rouge2", "rougeL")


def exact_label(answer: str, label: str) -> float:
    """1 where the answer is the label and nothing else, but for case and surrounding white space."""
    return float(answer.strip().lower() == label.lower())


def published_label(answer: str, label: str) -> float:
    """1 where the label occurs anywhere in the answer, case ignored."""
    return float(label.lower() in answer.lower())


def published_letter(answer: str, letter: str) -> float:
    """1 where the capital letter occurs anywhere in the answer: " Because" is an answer B."""
    return float(letter in answer)


def published_yes_no(answer: str, label: str) -> float:
    """1 where the answer is one space and the label, case ignored."""
    return float(answer.lower() == f" {label}")


def normalized(text: str) -> str:
    """Lower case, without punctuation and without articles, words parted by one space (as for SQuAD and NQ)."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, gold: Iterable[str]) -> float:
    """1 where a gold answer's words occur in the answer, next to each other and in order, both normalised.

    The answer is a continuation of fixed length, so it goes on behind what answers the question.
    """
    words = f" {normalized(answer)} "
    return float(any(phrase and f" {phrase} " in words for phrase in map(normalized, gold)))


def published_exact_match(prompt: str, answer: str, gold: Iterable[str]) -> float:
    """The same search in the prompt and the answer together: an answer that stands in the passage always counts."""
    return exact_match(f"{prompt}{answer}".replace("\n", " "), gold)


def solve_rate(answer: str, gold: str) -> float:
    """1 where the first number in the answer is the gold number: 1,000 is 1000 and 18.00 is 18, but 180 is not 18."""
    number, expected = first_number(answer), first_number(gold)
    return float(number is not None and number == expected)


def published_solve_rate(answer: str, gold: str) -> float:
    """1 where the gold number's characters occur in the answer: 180 and 218 are an answer 18."""
    return float(gold in answer)


def first_number(text: str) -> float | None:
    """The first number in the text; commas in it part thousands."""
    match = _NUMBER.search(text)
    return float(match.group().replace(",", "")) if match else None


@cache
def _rouge() -> Any:
    from rouge_score.rouge_scorer import RougeScorer  # slow to import, and only summaries need it

    return RougeScorer(list(ROUGES), use_stemmer=False)


def rouge(summary: str, gold: str) -> dict[str, float]:
    """F1 of ROUGE-1, -2 and -L by name, and their mean as `rouge`; no stemming (rouge-score)."""
    scores = {name: float(result.fmeasure) for name, result in _rouge().score(gold, summary).items()}
    return {"rouge": sum(scores.values()) / len(scores), **scores}


def published_rouge(answer: str, gold: str) -> dict[str, float]:
    """The same without the last 13 characters; 0 where no more than one is left.

    The released code counts with another package (rouge), which splits at white space alone.
    """
    cut = answer[:-_END_OF_TEXT]
    return rouge(cut, gold) if len(cut) > 1 else dict.fromkeys(("rouge", *ROUGES), 0.0)


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many entities were found rightly, found wrongly, and missed."""

    right: int
    wrong: int
    missed: int


def listed(answer: str) -> list[str]:
    """The entities that an answer lists: parted by commas, semicolons, line ends or "and", without stops around."""
    parts = (piece.strip(" \t.:'\"") for piece in _SEPARATORS.split(answer))
    return [part for part in parts if part]


def entity_counts(answer: str, gold: Sequence[str]) -> Counts:
    """Listed entities against gold ones of one type, whole and case-sensitive; each counts as often as it occurs."""
    named, expected = Counter(listed(answer)), Counter(gold)
    right = (named & expected).total()
    return Counts(right=right, wrong=named.total() - right, missed=expected.total() - right)


def precision(counts: Sequence[Sequence[float]]) -> float:
    """right / (right + wrong) over all (right, wrong, missed); 0 where nothing was found."""
    right, wrong, _ = map(sum, zip(*counts, strict=True))
    return right / (right + wrong) if right + wrong else 0.0


def recall(counts: Sequence[Sequence[float]]) -> float:
    """right / (right + missed) over all (right, wrong, missed); 0 where nothing was to be found."""
    right, _, missed = map(sum, zip(*counts, strict=True))
    return right / (right + missed) if right + missed else 0.0


def f1(counts: Sequence[Sequence[float]]) -> float:
    """Harmonic mean of precision and recall over all (right, wrong, missed), examples and types together."""
    right, wrong, missed = map(sum, zip(*counts, strict=True))
    return 2 * right / (2 * right + wrong + missed) if right else 0.0


def published_found(answer: str, gold: Sequence[str]) -> tuple[int, int]:
    """How many gold entities occur in the answer as a substring, and how many there are; "" always occurs."""
    return sum(entity in answer for entity in gold), len(gold)


def published_entity_score(counts: Sequence[Sequence[float]]) -> float:
    """The mean over the four types of found / gold, from (type, found, gold): recall, which the paper calls F1.

    A type without a gold entity is left out (the released code then divides by 0).
    """
    totals: dict[float, tuple[float, float]] = {}
    for kind, right, all_of_them in counts:
        before = totals.get(kind, (0.0, 0.0))
        totals[kind] = before[0] + right, before[1] + all_of_them
    shares = [right / total for right, total in totals.values() if total]
    return sum(shares) / len(shares) if shares else 0.0


def perplexity(scores: Sequence[Sequence[float]]) -> float:
    """exp of the mean NLL of the predicted tokens, from (NLL sum, predicted tokens, tokens) of each text."""
    nll, predicted, _ = map(sum, zip(*scores, strict=True))
    return math.exp(nll / predicted)


def published_perplexity(scores: Sequence[Sequence[float]]) -> float:
    """The same divided by all tokens: the first one counts, though nothing predicts it."""
    nll, _, tokens = map(sum, zip(*scores, strict=True))
    return math.exp(nll / tokens)
