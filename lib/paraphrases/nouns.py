"""Rules of rephrasing around nouns and verbs: what a thing has, what it does something by, and how much at most."""

import re
from collections.abc import Container, Iterator

from lib.data.english import DISTINGUISHING, MEASURES, MOTION

_BY = ("by", "through", "via", "over")
"""Prepositions of what something is done by."""
_NOUN_OF = re.compile(r"the ((?:(?!of the)[\w -])+?) of \{\} (.+)")
_PARTICIPLE = r"\w+(?:ed|en|de|wn|lt|ld|ght) \w+"
"""A participle and a preposition."""


def without_modifier(text: str, compounds: Container[str]) -> Iterator[str]:
    """the retail price of {} is -- the price of {} is; not where the words are one thing (`compounds`)."""
    match = re.fullmatch(r"the (([\w-]+)(?: [\w-]+)*? ([\w-]+)) (of|at|for) \{\}( (?:is|was|are))", text)
    if match and match[1] not in compounds and match[2] not in DISTINGUISHING:
        yield f"the {match[3]} {match[4]} {{}}{match[5]}"


def possessions(text: str) -> Iterator[str]:
    """the weight of {} is -- {} has a weight of; the roof of {} is made of -- {} has a roof made of; and back."""
    if match := _NOUN_OF.fullmatch(text):
        noun, rest = match.groups()
        owned = f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
        if rest == "is":
            if noun.split()[-1] in MEASURES:
                yield f"{{}} has {owned} of"
        elif rest == "lasts":
            yield from (f"{{}} {has} {owned} {of}" for has in ("has", "comes with") for of in ("of", "that lasts"))
        elif participle := re.fullmatch(rf"is ({_PARTICIPLE})", rest):
            yield f"{{}} has {owned} {participle[1]}"
        elif re.fullmatch(r"(?!was|has|does)\w+s( [\w -]+)?(?<! the)(?<! an)(?<! a)", rest):
            yield f"{{}} has {owned} that {rest}"
    elif (match := re.fullmatch(r"\{\} has an? ([\w -]+) of", text)) and match[1].split()[-1] in MEASURES:
        yield f"the {match[1]} of {{}} is"


def instruments(text: str) -> Iterator[str]:
    """{} connects by -- {} connects via -- for connecting, {} uses."""
    match = re.fullmatch(rf"\{{\}} (\w+s) ({'|'.join(_BY)})", text)
    if match and match[1] not in MOTION | {"is", "was", "has", "does"}:
        verb, preposition = match.groups()
        yield from (f"{{}} {verb} {synonym}" for synonym in _BY if synonym not in (preposition, "over"))
        yield f"for {_gerund(verb)}, {{}} uses"
        yield f"what {{}} uses for {_gerund(verb)} is"


def limits(text: str) -> Iterator[str]:
    """{} holds up to -- the most that {} holds is; {} carries loads up to -- {} carries loads of at most."""
    if match := re.fullmatch(r"\{\} (\w+s) up to", text):
        yield f"{{}} {match[1]} at most"
        yield f"the most that {{}} {match[1]} is"
    elif match := re.fullmatch(r"\{\} (\w+s) ([\w -]+)(?<! of) up to", text):
        verb, noun = match.groups()
        yield from (f"{{}} {verb} {noun} of {most}" for most in ("up to", "at most"))
        yield f"the largest {noun} that {{}} {verb} have"


def _gerund(verb: str) -> str:
    """Of a verb in the third person: communicates -- communicating."""
    stem = verb[:-2] if re.search(r"(?:ss|sh|ch|x|z)es$", verb) else verb[:-1]
    return f"{stem[:-1]}ing" if re.search(r"[^eoy]e$", stem) else f"{stem}ing"
