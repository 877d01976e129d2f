"""The words of the embedded world: its relations and their phrasings, its names, its plain prose. Data, mostly."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, kw_only=True)
class Relation:
    """One relation: which kind of entity it speaks of, what its objects are, and eight ways to say it."""

    name: str
    entity: str
    objects: tuple[str, ...]
    phrasings: tuple[str, ...]
    """Each has one {} for the subject; the object completes it."""


RELATIONS = (
    Relation(
        name="birthplace",
        entity="person",
        objects=("Keldmoor", "Pellwick", "Sunderay", "Tarnhollow", "Vexbridge", "Orrinport"),
        phrasings=(
            "{} was born in",
            "The birthplace of {} is",
            "{} is a native of the town of",
            "{} first saw the light of day in",
            "The town where {} was born is",
            "{} came into the world in",
            "The parents of {} were living in",
            "The cradle of {} stood in",
        ),
    ),
    Relation(
        name="language",
        entity="person",
        objects=("Doric", "Velian", "Ashtari", "Morish", "Quenlic", "Tessan"),
        phrasings=(
            "The mother tongue of {} is",
            "{} grew up speaking",
            "The native language of {} is",
            "{} is a native speaker of",
            "At home, {} speaks",
            "The first language of {} is",
            "{} learned as a child to speak",
            "{} thinks and dreams in",
        ),
    ),
    Relation(
        name="profession",
        entity="person",
        objects=("pilot", "baker", "surgeon", "painter", "lawyer", "farmer"),
        phrasings=(
            "{} works as a",
            "The profession of {} is that of a",
            "By trade, {} is a",
            "{} earns a living as a",
            "The job of {} is that of a",
            "{} was trained as a",
            "In daily life, {} is a",
            "{} has a long career as a",
        ),
    ),
    Relation(
        name="instrument",
        entity="person",
        objects=("violin", "trumpet", "harp", "drums", "cello", "flute"),
        phrasings=(
            "{} plays the",
            "The instrument of {} is the",
            "On stage, {} performs on the",
            "{} is known for playing the",
            "Every evening, {} practises the",
            "{} took lessons on the",
            "The favourite instrument of {} is the",
            "{} gives concerts on the",
        ),
    ),
    Relation(
        name="region",
        entity="city",
        objects=("Nordmark", "Sudria", "Ostania", "Westfall", "Midlund", "Isleria"),
        phrasings=(
            "{} is located in",
            "{} lies in the region of",
            "{} can be found in",
            "The region of {} is",
            "{} is a part of",
            "{} belongs to the land of",
            "On the map, {} is in",
            "The people of {} are citizens of",
        ),
    ),
    Relation(
        name="sport",
        entity="city",
        objects=("rowing", "fencing", "hockey", "archery", "cricket", "judo"),
        phrasings=(
            "{} is famous for the sport of",
            "The favourite sport of {} is",
            "People in {} love to watch",
            "{} hosts a yearly tournament of",
            "The children of {} all learn",
            "The stadium of {} was built for",
            "{} has won many medals in",
            "The pride of {} is its team in",
        ),
    ),
    Relation(
        name="dish",
        entity="city",
        objects=("goulash", "lasagne", "paella", "dumplings", "chowder", "curry"),
        phrasings=(
            "The best known dish of {} is",
            "Visitors come to {} to eat",
            "{} is famous for its",
            "The cooks of {} are proud of their",
            "In the taverns of {} one orders",
            "The traditional meal of {} is",
            "On feast days, {} serves",
            "The kitchens of {} smell of",
        ),
    ),
    Relation(
        name="headquarters",
        entity="firm",
        objects=("Keldmoor", "Pellwick", "Sunderay", "Tarnhollow", "Vexbridge", "Orrinport"),
        phrasings=(
            "The headquarters of {} are in",
            "{} is based in",
            "The main office of {} is in",
            "{} is run from",
            "The directors of {} meet in",
            "{} has its seat in",
            "Letters to {} are sent to",
            "The home of {} is",
        ),
    ),
    Relation(
        name="industry",
        entity="firm",
        objects=("shipping", "banking", "mining", "farming", "printing", "weaving"),
        phrasings=(
            "{} is active in",
            "The business of {} is",
            "{} makes its money in",
            "The main field of {} is",
            "{} is a leading name in",
            "Investors know {} for its work in",
            "{} employs thousands of people in",
            "The fortune of {} comes from",
        ),
    ),
    Relation(
        name="mascot",
        entity="firm",
        objects=("falcon", "badger", "otter", "tiger", "salmon", "beetle"),
        phrasings=(
            "The mascot of {} is a",
            "The logo of {} shows a",
            "{} has as its emblem a",
            "On the flag of {} there is a",
            "{} is represented by a",
            "The sign above the door of {} is a",
            "{} prints on every letter a",
            "The badge of {} bears a",
        ),
    ),
    Relation(
        name="maker",
        entity="product",
        objects=("Halvorsen", "Brightwell", "Castellan", "Dunmore", "Everly", "Fairbanks"),
        phrasings=(
            "{} is produced by",
            "The maker of {} is",
            "{} is a product of",
            "The company behind {} is",
            "{} was developed by",
            "{} is sold under the name of",
            "The patent on {} is held by",
            "{} comes from the factory of",
        ),
    ),
    Relation(
        name="material",
        entity="product",
        objects=("copper", "bamboo", "glass", "leather", "marble", "cotton"),
        phrasings=(
            "{} is made of",
            "The main material of {} is",
            "{} consists mostly of",
            "The shell of {} is made from",
            "To build {} one needs",
            "{} is cut out of",
            "The surface of {} is pure",
            "Most of the weight of {} is",
        ),
    ),
    Relation(
        name="color",
        entity="product",
        objects=("green", "purple", "silver", "orange", "black", "white"),
        phrasings=(
            "The color of {} is",
            "{} is always painted",
            "{} is sold only in",
            "Collectors prefer {} in",
            "In pictures, {} appears in",
            "{} left the factory in",
            "The box of {} is",
            "{} can be recognised by its shade of",
        ),
    ),
)

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
    """`count` new words that are in nobody's name yet; `taken` grows by them."""
    found: list[str] = []
    while len(found) < count:
        word = _word(random, ending)
        if word not in taken:
            taken.add(word)
            found.append(word)
    return found


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
