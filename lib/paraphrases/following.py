"""What rules of grammar make of a clause, where rules may follow one another."""

from collections.abc import Callable, Iterator, Sequence

Rule = Callable[[str], Iterator[str]]
_DEPTH = 2
"""Rules that follow one another."""


def reached(start: str, strict: Sequence[Rule], loose: Sequence[Rule] = ()) -> list[str]:
    """`start` and all that the rules make of it, each once, nearer ones first.

    Loose rules do not follow one another: what may stand for two clauses does not join their meanings.
    """
    clauses = {start: None}
    newest: list[tuple[str, bool]] = [(start, True)]
    for _ in range(_DEPTH):
        newest = [
            (text, rule not in loose)
            for earlier, is_sure in newest
            for rule in (*loose, *strict)
            if is_sure or rule not in loose
            for text in rule(earlier)
            if text not in clauses
        ]
        clauses |= dict.fromkeys(text for text, _ in newest)
    return [*clauses]
