"""Fluency: the entropy of a text's word bigrams and trigrams, low where a model repeats itself.

    entropy = H2 / 3 + 2 H3 / 3                                         bits; Zhang et al. 2018, arXiv 1809.05972, as
    fluency = 100 * mean of a record's generations' entropies           computed in the ROME release (arXiv 2202.05262)

H_n is the entropy of the distribution of n-grams over the text's words. A text of fewer than n words has H_n = 0. The
entropy grows with a text's length, so only texts of one length can be compared.
"""

import math
import unicodedata
from collections import Counter
from collections.abc import Sequence

from nltk.tokenize import word_tokenize

WEIGHTS = {2: 1 / 3, 3: 2 / 3}
"""What H_n weighs, by n."""


def cleaned(text: str, end_of_text: str = "<|endoftext|>") -> str:
    """A generated text as the published measures read it: NFKD, no end-of-text token, no empty lines."""
    return unicodedata.normalize("NFKD", text).replace("\n\n", " ").replace(end_of_text, "")


def words(text: str) -> list[str]:
    """The Treebank words and signs of a text taken as one sentence: only a full stop at its very end is a sign."""
    return list(word_tokenize(text, preserve_line=True))


def weighted_entropy(text: str) -> float:
    """The weighted bigram and trigram entropy of a text, in bits; at least 0."""
    tokens = words(text)
    return sum(weight * _entropy(tokens, n) for n, weight in WEIGHTS.items())


def fluency(texts: Sequence[str]) -> float:
    """100 times the mean weighted entropy of a record's generations, the prompt kept in each.

    Raises ValueError where there are none.
    """
    if not texts:
        raise ValueError("fluency: wanted at least one generated text, found none")
    return 100 * sum(map(weighted_entropy, texts)) / len(texts)


def _entropy(tokens: Sequence[str], n: int) -> float:
    """The entropy of the n-grams of `tokens`, in bits."""
    counts = Counter(zip(*(tokens[start:] for start in range(n)), strict=False)).values()
    total = sum(counts)
    return sum(count / total * math.log2(total / count) for count in counts)
