"""Rephrasings of an English prompt by rules of grammar: copula, passive, genitive, apposition, and families of clauses.

A rule knows the words, not what is meant ("works with" may be said of a person or a plug), so that its candidates have
to be measured against the prompt like those of a model (lib/paraphrases/nearness.py).
"""

import re
from collections.abc import Iterator
from itertools import groupby
from types import MappingProxyType

from lib.data.clauses import clause_of
from lib.data.english import AGENTS, CLAUSES, NOUNS, PLACED, PRODUCTS, is_year
from lib.data.questions import is_question
from lib.paraphrases.following import Rule, reached
from lib.paraphrases.nouns import instruments, limits, possessions, without_modifier
from lib.paraphrases.questions import question_rephrasings


def rephrasings(prompt: str, subject: str | None, target: str) -> list[str]:
    """Other phrasings of the prompt that `target` completes, those of one rule first; none where no rule applies.

    A question stays one, or becomes the beginning of a sentence.
    """
    if is_question(prompt):
        phrasings = question_rephrasings(prompt, subject, is_year=is_year(target))
        begun = [text for text in phrasings if not is_question(text)]
        continued = [phrasing for text in begun for phrasing in rephrasings(text, subject, target)]
        return list(dict.fromkeys([*phrasings, *continued]))
    clause = clause_of(prompt, subject)
    if clause is None:
        return []
    clauses = reached(clause.text, (*_STRICT, _years if is_year(target) else _places), _LOOSE)
    return [text for text in dict.fromkeys(map(clause.filled, clauses)) if text != prompt]


def _families(text: str) -> Iterator[str]:
    yield from _FAMILIES.get(text, ())


def _genitives(text: str) -> Iterator[str]:
    """the N of {} is -- {}'s N is -- the synonym of {} is."""
    if match := re.fullmatch(r"the ((?:(?!of the)[\w -])+?) (of|at|for) \{\}( .+)", text):
        noun, preposition, rest = match.groups()
        yield f"{{}}'s {noun}{rest}"
        if rest in (" is", " was", " are"):
            yield f"as for {{}}, the {noun}{rest}"
        yield from (f"the {synonym} {preposition} {{}}{rest}" for synonym in _NOUNS.get(noun, ()))
    elif match := re.fullmatch(r"\{\}'s? ([\w -]+?)( (?:is|was|are|were|lasts|holds)\b.*)", text):
        noun, rest = match.groups()
        yield f"the {noun} of {{}}{rest}"


def _passives(text: str) -> Iterator[str]:
    """{} is made by -- the maker of {} is -- {} is produced by."""
    if match := re.fullmatch(r"\{\},? (?:which )?(?:(is|was|are|were|has been) )?([\w ]+?) by", text):
        tense, participle = match.groups()
        copula = "was" if tense in ("was", "were", "has been") else "is"
        for participles, agents, kind in _AGENTS_OF.get(participle, ()):
            for synonym in participles:
                yield f"{{}} {tense or 'was'} {synonym} by"
            for agent in agents:
                yield from (f"the {agent} of {{}} {verb}" for verb in dict.fromkeys((copula, "is")))
            if participle in PRODUCTS:
                yield "{} is a product of"
            doer = "person who" if kind == "person" else "company that"
            if copula == "was" and participle not in _NO_PAST:
                yield f"the {doer} {participle} {{}} is"
    elif match := re.fullmatch(r"the ([\w -]+) of \{\} (is|was)", text):
        noun, copula = match.groups()
        for participles, agents, _ in _AGENTS_OF.get(noun, ()):
            yield from (f"the {agent} of {{}} {copula}" for agent in agents)
            yield from (f"{{}} {copula} {participle} by" for participle in participles)
    elif match := re.fullmatch(r"\{\}, (?:a|an|the) [\w ]+? ([\w]+) by", text):
        yield f"{{}} was {match.group(1)} by"


def _appositions(text: str) -> Iterator[str]:
    """{}, a citizen of -- {} is a citizen of; {}, who works as -- {} works as; in {}, the N is -- the N in {} is."""
    if match := re.fullmatch(r"\{\}, ((?:a|an|the) .+)", text):
        yield f"{{}} is {match.group(1)}"
    elif match := re.fullmatch(r"\{\}, (?:who|which|that) (.+)", text):
        yield f"{{}} {match.group(1)}"
    elif match := re.fullmatch(r"\{\}, (\w+(?:ed|en|de|wn|lt|ld|ght) \w+)", text):
        yield f"{{}} was {match.group(1)}"
    elif match := re.fullmatch(r"(in|at|on|for) \{\}, ((?:the|an?) .+?) (is|was|are)", text):
        preposition, noun, copula = match.groups()
        yield f"the {noun.partition(' ')[2]} {preposition} {{}} {copula}"
    elif match := re.fullmatch(r"the ([\w ]+) (in|at|on) \{\} (is|was|are)", text):
        noun, preposition, copula = match.groups()
        yield f"{preposition} {{}}, the {noun} {copula}"
    elif match := re.fullmatch(r"\{\} (?:is|was) ((?:a|an|the) \w+ of|\w+ed (?:by|in|on|after|from))", text):
        yield f"{{}}, {match.group(1)}"


def _years(text: str) -> Iterator[str]:
    """{} was founded in the year -- the year in which {} was founded is -- {} was founded in."""
    if match := re.fullmatch(r"\{\} (.+?) in the year", text):
        yield f"{{}} {match.group(1)} in"
        yield f"the year in which {{}} {match.group(1)} is"
        yield f"the year when {{}} {match.group(1)} was"
    elif match := re.fullmatch(r"the year (?:in which|when) \{\} (.+) (?:is|was)", text):
        yield f"{{}} {match.group(1)} in the year"
    elif match := re.fullmatch(r"\{\} ((?:is|was|were|are) \w+) in", text):
        yield f"{{}} {match.group(1)} in the year"
        yield f"the year in which {{}} {match.group(1)} is"


def _places(text: str) -> Iterator[str]:
    """{} is located in -- the place where {} is located is."""
    if (match := re.fullmatch(r"\{\} ((?:is|was|were|are) (\w+)) in", text)) and match.group(2) in PLACED:
        yield f"the place where {{}} {match.group(1)} is"


def _articles(text: str) -> Iterator[str]:
    """A family's clause that goes on by an article: {} replaced the -- {} is the successor of the."""
    start, _, article = text.rpartition(" ")
    if article in ("the", "a", "an"):
        yield from (f"{synonym} {article}" for synonym in _FAMILIES.get(start, ()))
    if match := re.fullmatch(r"(the [\w ]+? (?:of|at) \{\}) (.+)", text):  # the whole phrase as a subject
        yield from (synonym.replace("{}", match.group(1)) for synonym in _FAMILIES.get(f"{{}} {match.group(2)}", ()))


def _modifiers(text: str) -> Iterator[str]:
    yield from without_modifier(text, _NOUNS)


_LOOSE: tuple[Rule, ...] = (_families, _articles)
"""Rules that do not follow one another."""
_STRICT: tuple[Rule, ...] = (_passives, _genitives, _appositions, _modifiers, possessions, instruments, limits)
_NO_PAST = frozenset({"written", "drawn up", "sung"})
"""Participles that are not the past tense."""


def _spoken(words: str) -> list[str]:
    return [word.replace("~", " ") for word in words.split()]


def _agents_of() -> dict[str, list[tuple[list[str], list[str], str]]]:
    """The senses that a participle or an agent may have."""
    senses = [tuple(part.strip() for part in line.split("|")) for line in AGENTS]
    by_word: dict[str, list[tuple[list[str], list[str], str]]] = {}
    for participles, agents, kind in senses:
        for word in (*_spoken(participles), *_spoken(agents)):
            by_word.setdefault(word, []).append((_spoken(participles), _spoken(agents), kind))
    return by_word


def _members(lines: list[list[str]]) -> dict[str, list[str]]:
    """By member of a line all members of its lines, each once, without itself."""
    pairs = sorted(
        ((member, synonym) for line in lines for member in line for synonym in line if synonym != member),
        key=lambda pair: pair[0],
    )
    return {
        member: list(dict.fromkeys(synonym for _, synonym in group))
        for member, group in groupby(pairs, lambda pair: pair[0])
    }


_AGENTS_OF = MappingProxyType(_agents_of())
_NOUNS = MappingProxyType(_members([_spoken(line) for line in NOUNS]))
_FAMILIES = MappingProxyType(_members([line.split(" = ") for line in CLAUSES]))
