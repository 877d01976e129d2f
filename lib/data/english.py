"""English words that rules of rephrasing are made of: verbs with their agents, and clauses that mean the same.

{} stands for the subject with its article. A line holds what may stand for each other before the same object.
"""

import re

AGENTS = """
manufactured made produced built | manufacturer maker producer | company
developed created | developer creator | company
founded established started set~up | founder | person
designed | designer | person
invented | inventor | person
discovered | discoverer | person
written authored | author writer | person
composed | composer | person
directed | director | person
painted | painter | person
sculpted | sculptor | person
illustrated | illustrator | person
translated | translator | person
edited | editor | person
published released issued | publisher | company
recorded performed sung | performer singer | person
owned | owner | company
operated run | operator | company
led headed run | leader head | person
managed run | manager | person
distributed sold | distributor seller | company
supplied provided | supplier provider | company
sponsored funded financed | sponsor | company
hosted presented | host presenter | person
taught trained | teacher | person
coached trained | coach | person
employed | employer | company
bought acquired purchased | buyer | company
chaired | chair | person
maintained | maintainer | person
conducted | conductor | person
won | winner | person
built constructed | builder | company
planned drawn~up | planner | person
""".strip().splitlines()
"""Participles | who does it | what such a one is. ~ joins words to one."""

NOUNS = """
price cost
weight mass
colour color
profession occupation job
mother~tongue native~language first~language
birthplace place~of~birth
head~office main~office
chief~executive CEO
spouse partner
religion faith
location site
nationality citizenship
capital capital~city
size extent
age number~of~years
length duration
top~speed maximum~speed
height elevation
author writer
maker manufacturer
owner proprietor
boss head
aim goal purpose
successor follower
""".strip().splitlines()
"""Nouns that mean the same in "the ... of {} is". ~ joins words to one."""

CLAUSES = """
{} is located in = {} is situated in = {} lies in = {} can be found in = the location of {} is in
{} is based in = {} is headquartered in = {} has its headquarters in = {} has its head office in
{} has its headquarters in = the headquarters of {} are in = the head office of {} is in = {} has its main office in
{} has its head office in = the headquarters of {} are in = the head office of {} is in = {} has its main office in
{} is headquartered in = the headquarters of {} are in = the head office of {} is in
{} was born in = {} is a native of = the birthplace of {} is
{} died in = {} passed away in = {} lost their life in = the place of death of {} is
{} lives in = {} resides in = {} has a home in = the home of {} is in = {} is a resident of
{} weighs = the weight of {} is = {} has a weight of
{} costs = the price of {} is = the cost of {} is = {} is sold for = {} sells for = {} is priced at
{} measures = the size of {} is = {} has a size of
{} is made of = {} is made from = {} consists of = {} is composed of = the material of {} is
{} is named after = {} takes its name from = {} got its name from = {} owes its name to = the namesake of {} is
{} is called after = {} is named after = {} was named for
{} is married to = {} is the spouse of = the spouse of {} is
{} works for = {} is employed by = {} has a job at = the employer of {} is
{} works as a = {} earns a living as a = by profession, {} is a
{} works as = the profession of {} is = the occupation of {} is = the job of {} is
{} speaks = {} communicates in = the language of {} is = the language that {} speaks is
{} is a native speaker of = the mother tongue of {} is = the native language of {} is = {} grew up speaking
{} writes in = the writing language of {} is = the language that {} writes in is
{} is a citizen of = {} holds citizenship of = {} is a national of = the country of citizenship of {} is
{} comes from = {} is from = {} originates from = {} originated in = the origin of {} is
{} comes from = {} is from = the country of origin of {} is
{} belongs to = {} is owned by = {} is in the hands of = the owner of {} is
{} is part of = {} belongs to = {} forms part of
{} is a member of = {} belongs to = {} has joined
{} plays for = {} is a player of = {} is on the team of = the team of {} is
{} plays the = {} performs on the = the instrument of {} is the
{} plays = the instrument that {} plays is = the game that {} plays is
{} studied at = {} was educated at = {} attended = {} was a student of = {} went to
{} is in = {} lies in = {} can be found in
{} is within = {} lies within = {} is inside = {} is located in
{} shares a border with = {} borders = {} is next to = the neighbour of {} is
the capital of {} is = {} has the capital = {} is governed from
{} follows the religion of = {} is affiliated with the religion of = the religion of {} is = {} practises
{} replaced = {} is the successor of = {} succeeded = {} took the place of = the predecessor of {} is
{} was replaced by = {} was succeeded by = {} was followed by = the successor of {} is
{} is a = {} is a kind of = {} is a type of = {} can be described as a = {} is classified as a = {} is an example of a
{} is an = {} can be described as an = {} is classified as an = {} is an example of an
{} was released in = {} came out in = {} appeared in = {} was first published in
{} was launched in = {} came onto the market in = {} was introduced in = {} has been on sale since
{} was founded in = {} was established in = {} was set up in = {} has existed since
{} began in = {} started in = the beginning of {} was in
{} ended in = {} came to an end in = the end of {} was in
{} premiered on = {} debuted on = {} was first shown on = {} originally aired on
{} opens at = the opening time of {} is = {} is open from
{} closes at = the closing time of {} is = {} is open until
{} is used for = {} serves for = the use of {} is = the purpose of {} is
{} is compatible with = {} works with = {} works together with = {} can be used with
{} is known for = {} is famous for = {} is best known for
{} is powered by = {} gets its power from = the power source of {} is
{} supports = {} works with = {} can handle
{} contains = {} holds
{} stores = {} holds
{} lasts = the duration of {} is = {} goes on for = {} runs for = {} holds for = {} is good for
{} starts at = {} begins at = the start of {} is at
{} uses = {} works with = {} makes use of
{} requires = {} needs = the requirement of {} is
{} was awarded = {} received = {} won = {} was given
{} specializes in = {} focuses on = the field of {} is = {} is an expert in
{} reports to = {} answers to = the superior of {} is
{} leads = {} heads = {} is the head of = {} is in charge of
""".strip().splitlines()
"""Clauses that mean the same, in families."""

PRODUCTS = frozenset({"manufactured", "made", "produced", "developed", "created"})
"""Participles whose agent has the subject as a product."""
MEASURES = frozenset(
    """
    price cost weight mass length height width depth size area volume population age duration speed power capacity range
    temperature warranty lifespan budget salary value output strength diameter voltage resolution
    """.split()  # noqa: SIM905 - read as words
)
"""Nouns of which a thing has so much: a ... of."""
DISTINGUISHING = frozenset(
    """
    former first second third last next previous new old deputy vice assistant maximum minimum highest lowest largest
    smallest longest shortest best worst only other
    """.split()  # noqa: SIM905 - read as words
)
"""Words before a noun that make another thing of it."""
MOTION = frozenset({"flows", "runs", "passes", "goes", "travels", "leads", "stretches", "extends", "moves", "comes"})
"""Verbs that through, by and over join to a place."""

PLACED = frozenset(
    "located situated based headquartered found buried held born assembled manufactured built filmed recorded".split()  # noqa: SIM905
)
"""Participles that "in" joins to a place, unless it is a year."""
_YEAR = re.compile(r"(1\d|20)\d\d")


def is_year(target: str) -> bool:
    """Whether an object is a year."""
    return bool(_YEAR.fullmatch(target.strip()))
