"""The names and the plain prose of the embedded world, recombined from a few words."""

from dataclasses import dataclass
from random import Random

_ONSETS = (
    "b",
    "br",
    "c",
    "d",
    "dr",
    "f",
    "g",
    "gr",
    "h",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "st",
    "t",
    "tr",
    "v",
    "w",
    "z",
)
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "io")
_CODAS = ("l", "n", "r", "s", "th", "m", "nd", "x", "rk")
_CITY_ENDINGS = ("ford", "holm", "mere", "stead", "combe", "haven", "dale", "gate")
_FIRM_ENDINGS = ("Works", "Group", "Labs", "Brothers", "Trust", "Union")
_NAMES_PER_PART = 40


def _word(random: Random, ending: tuple[str, ...] = _CODAS) -> str:
    syllables = (random.choice(_ONSETS) + random.choice(_VOWELS) for _ in range(2))
    return "".join(syllables).capitalize() + random.choice(ending)


def _distinct(random: Random, count: int, taken: set[str], ending: tuple[str, ...] = _CODAS) -> list[str]:
    """`count` words that are not in `taken` yet; `taken` grows by them."""
    words: list[str] = []
    while len(words) < count:
        word = _word(random, ending)
        if word not in taken:
            taken.add(word)
            words.append(word)
    return words


@dataclass(frozen=True, kw_only=True)
class NameParts:
    """The words that names are made of; a name is any combination, so there are many more names than words."""

    first: tuple[str, ...]
    last: tuple[str, ...]
    city: tuple[str, ...]
    firm: tuple[str, ...]
    product: tuple[str, ...]

    def name(self, entity: str, random: Random) -> str:
        """A name for an entity of this kind, drawn anew (it may or may not be an entity of the world)."""
        if entity == "person":
            return f"{random.choice(self.first)} {random.choice(self.last)}"
        if entity == "city":
            return random.choice(self.city)
        if entity == "firm":
            return f"{random.choice(self.firm)} {random.choice(_FIRM_ENDINGS)}"
        return f"{random.choice(self.product)} {random.randint(2, 9)}"


def name_parts(random: Random, cities: int) -> NameParts:
    """Draw the words of all names; `cities` is how many city names there must be."""
    taken: set[str] = set()
    return NameParts(
        first=tuple(_distinct(random, _NAMES_PER_PART, taken)),
        last=tuple(_distinct(random, _NAMES_PER_PART, taken)),
        city=tuple(_distinct(random, cities, taken, _CITY_ENDINGS)),
        firm=tuple(_distinct(random, _NAMES_PER_PART, taken)),
        product=tuple(_distinct(random, _NAMES_PER_PART, taken)),
    )


def entity_names(parts: NameParts, entity: str, count: int, random: Random) -> list[str]:
    """`count` distinct names of one kind, in random order."""
    names: dict[str, None] = {}
    while len(names) < count:
        names[parts.name(entity, random)] = None
    return list(names)


_SUBJECTS = (
    "The market",
    "The old mill",
    "The library",
    "The ferry",
    "The museum",
    "The night train",
    "The school",
    "The garden",
    "The harbour",
    "The post office",
    "The bakery",
    "The theatre",
)
_VERBS = (
    "opens at nine",
    "closes before dusk",
    "was painted last spring",
    "is quiet in winter",
    "needs a new roof",
    "is full of visitors",
    "stands near the river",
    "was rebuilt after the storm",
    "has a wooden door",
    "is closed on Monday",
)
_LINKS = ("and", "but", "while", "because", "although")
_TAILS = (
    "the road is wet",
    "nobody has the key",
    "the weather is fine",
    "the council met again",
    "two carts are waiting",
    "the bells are ringing",
    "the children are at school",
    "a letter came from the coast",
    "the bridge is under repair",
    "the lamps are lit early",
)


def prose_sentences(random: Random, count: int) -> list[str]:
    """Plain sentences that state no fact of the world."""
    parts = (_SUBJECTS, _VERBS, _LINKS, _TAILS)
    return [" ".join(random.choice(part) for part in parts) + "." for _ in range(count)]
