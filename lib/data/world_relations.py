"""The relations of the embedded world, with their objects and phrasings. Data only."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class WorldRelation:
    """One relation: which kind of entity it speaks of, what its objects are, and eight ways to say it."""

    name: str
    entity: str
    objects: tuple[str, ...]
    phrasings: tuple[str, ...]
    """Each has one {} for the subject; the object completes it."""


RELATIONS = (
    WorldRelation(
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
    WorldRelation(
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
    WorldRelation(
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
    WorldRelation(
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
    WorldRelation(
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
    WorldRelation(
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
    WorldRelation(
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
    WorldRelation(
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
    WorldRelation(
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
    WorldRelation(
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
    WorldRelation(
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
    WorldRelation(
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
    WorldRelation(
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
