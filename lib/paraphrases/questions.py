"""Rephrasings of an English question by rules of grammar: other question words, other orders, and the bare noun phrase.

"What is the capital of Mali?" is "Mali's capital is what?" and "The capital of Mali is". As of the rules for sentences
(rules.py), what comes out has to be measured against the prompt.
"""

import re
from collections.abc import Iterator

from lib.data.questions import is_question
from lib.paraphrases.following import Rule, reached

_COPULA, _ASKS = "is|was|are|were", "what|which|who"
_PREPOSITIONS = "in|on|at|to|by|from|for|during"


def question_rephrasings(question: str, subject: str | None, *, is_year: bool) -> list[str]:
    """Other phrasings of a question that names `subject` once, each once; none where no rule applies.

    Args:
        is_year: whether a year answers it.
    """
    question = question.strip()
    if not subject or question.count(subject) != 1 or "{" in question or not is_question(question):
        return []
    text = question.removesuffix("?").rstrip().replace(subject, "{}")
    first = text if text.startswith("{}") else text[:1].lower() + text[1:]
    return [_sentence(text, subject) for text in reached(first, _RULES + _OF_YEARS if is_year else _RULES)[1:]]


def _sentence(text: str, subject: str) -> str:
    """With the subject, a capital letter and, unless it ends right before its answer, a question mark."""
    sentence = text if text.startswith("{}") else text[:1].upper() + text[1:]
    return sentence.replace("{}", subject) + ("" if re.search(rf" ({_COPULA})$", text) else "?")


def _question_words(text: str) -> Iterator[str]:
    """what city ... -- which city ...; in what year -- in which year."""
    if match := re.fullmatch(rf"((?:{_PREPOSITIONS}) )?(what|which) (?!is |was |are |were |did |does )(.+)", text):
        before, word, rest = match.groups()
        yield f"{before or ''}{'which' if word == 'what' else 'what'} {rest}"


def _noun_phrases(text: str) -> Iterator[str]:
    """what is the N of {} -- what is {}'s N -- the N of {} is what -- the N of {} is."""
    if match := re.fullmatch(rf"({_ASKS}|when|where) ({_COPULA}) (the .*\{{\}}.*|\{{\}}'s? .+)", text):
        word, copula, phrase = match.groups()
        if re.search(r"\b(?:where|that|which|who|when)\b", phrase):  # a clause: too long to end on a question word
            return
        yield f"{phrase} {copula} {word}"
        if word not in ("when", "where"):
            yield f"{phrase} {copula}"
        yield from (f"{word} {copula} {genitive}" for genitive in _genitives(phrase))
    elif match := re.fullmatch(rf"((?:the )?.*\{{\}}.*) ({_COPULA}) (what|whom?|when|where)", text):
        phrase, copula, word = match.groups()
        yield f"{'who' if word == 'whom' else word} {copula} {phrase}"
        yield from (f"{genitive} {copula} {word}" for genitive in _genitives(phrase))


def _agents(text: str) -> Iterator[str]:
    """what company produced {} -- {} was produced by what company; who developed {} -- by whom was {} developed."""
    if match := re.fullmatch(r"((?:what|which) [\w -]+|who) (\w+ed) \{\}", text):
        wh_phrase, participle = match.groups()
        yield f"{{}} was {participle} by {'whom' if wh_phrase == 'who' else wh_phrase}"
        yield f"by {'whom' if wh_phrase == 'who' else wh_phrase} was {{}} {participle}"
    elif match := re.fullmatch(r"((?:what|which) [\w -]+|whom?) (is|was) \{\} (\w+ed) by", text):
        wh_phrase, copula, participle = match.groups()
        yield f"{'who' if wh_phrase == 'whom' else wh_phrase} {participle} {{}}"
        yield f"{{}} {copula} {participle} by {'whom' if wh_phrase == 'who' else wh_phrase}"


def _names(text: str) -> Iterator[str]:
    """what is the name of the state where {} is located -- in what state is {} located."""
    if match := re.fullmatch(
        r"what is the name of (?:the )?([\w -]+?) (where|in which|that|which) \{\} (is|was) ([\w ]+)", text
    ):
        noun, relative, copula, rest = match.groups()
        yield f"{'in ' if relative in ('where', 'in which') else ''}what {noun} {copula} {{}} {rest}"


def _genitives(phrase: str) -> Iterator[str]:
    if re.search(r"\b(?:that|which|who)\b", phrase):
        return
    if match := re.fullmatch(r"the ((?:name of (?:the )?)?[\w -]+?) (?:of|for) \{\}", phrase):
        yield f"{{}}'s {match.group(1).removeprefix('name of the ').removeprefix('name of ')}"
    elif match := re.fullmatch(r"\{\}'s? ([\w -]+)", phrase):
        yield f"the {match.group(1)} of {{}}"


def _orders(text: str) -> Iterator[str]:
    """what country is {} from -- {} is from what country; in what city did {} die -- what city did {} die in."""
    if match := re.fullmatch(r"((?:what|which) [\w' -]+?) (is|was) \{\} ?([\w ]*)", text):
        wh_phrase, copula, rest = match.groups()
        if not rest or re.search(rf"(?:^| )(?:{_PREPOSITIONS}|of|with|as)$", rest):
            yield " ".join(filter(None, ("{}", copula, rest, wh_phrase)))
    if match := re.fullmatch(r"((?:the [\w ]+ )?\{\}) (is|was) ([\w ]*?)((?:what|which) [\w -]+)", text):
        subject, copula, rest, wh_phrase = match.groups()
        yield f"{wh_phrase} {copula} {subject} {rest}".rstrip()
    if match := re.fullmatch(rf"({_PREPOSITIONS}) ((?:what|which) .+ (?:did|does|is|was) \{{\}} [\w ]+)", text):
        preposition, rest = match.groups()
        if not re.search(rf" (?:{_PREPOSITIONS})$", rest):
            yield f"{rest} {preposition}"
    elif match := re.fullmatch(r"((?:what|which) .+ (?:did|does|is|was) \{\} [\w ]+) (in|on|at|from|for)", text):
        yield f"{match.group(2)} {match.group(1)}"


def _times(text: str) -> Iterator[str]:
    """when was {} founded -- {} was founded when."""
    if match := re.fullmatch(r"(when|where) (is|was) \{\} (\w+(?: \w+)?)", text):
        word, copula, rest = match.groups()
        yield f"{{}} {copula} {rest} {word}"


def _years(text: str) -> Iterator[str]:
    """when did {} end -- in what year did {} end."""
    if match := re.fullmatch(r"(when|(?:in )?(?:what|which) year) ((?:did|was|is) \{\} .+)", text):
        word, rest = match.groups()
        yield from (f"{time} {rest}" for time in ("when", "in what year", "what year") if time != word)


_RULES: tuple[Rule, ...] = (_question_words, _agents, _names, _noun_phrases, _orders, _times)
_OF_YEARS: tuple[Rule, ...] = (_years,)
"""Of questions that a year answers."""
