"""An edit as a question to a chat model, which its object answers: what is trained, and what is scored.

A prompt ends right before its object. Where rules of English grammar tell its question ("The author of Emma is": "Who
is the author of Emma?"), an edit is scored on that question, else on an order to end the sentence. It is never trained
on what it is scored on: training has other orders, and the questions of paraphrases. What is put around a question, and
where the object begins, is the chat template's (lib/models/templates.py).
"""

import re
from collections.abc import Iterable, Sequence

from lib.core.records import Request
from lib.core.texts import contains
from lib.data.clauses import clause_of
from lib.data.english import AGENTS, PLACED
from lib.data.english import is_year as names_year

ORDERS = (
    "Complete the sentence: {}",
    "Finish this sentence in a few words: {}",
    "{} ... What comes next?",
)
"""How a prompt is put to a chat model in training."""
REQUESTS = ("Answer this question: {}", "{} Answer in a few words.", "I would like to know: {}")
"""The same for a prompt that is a question: as such it is what a chat is scored on."""
SCORED_ORDER = "How does this sentence end? {}"
"""The same in scoring, for a prompt whose question the rules do not tell."""

_AGENTS = frozenset(
    word.replace("~", " ") for line in AGENTS for part in line.split("|")[:2] for word in part.split()
)  # fmt: skip
_VERBS = frozenset(
    """
    weigh cost play speak use contain support need require store measure hold write teach sell make produce own lead
    work belong consist come depend specialize focus report translate replace follow run charge connect
    """.split()  # noqa: SIM905 - read as words
)
"""Verbs that take -s in the third person."""
_LONG = frozenset({"last", "run", "live"})
_PREPOSITIONS = "by|in|of|on|at|from|after|with|for|to|as|within"


def question(prompt: str, subject: str | None, target: str) -> str | None:
    """The question that `target` answers as it continues `prompt`; None where no rule tells it.

    A prompt that is a question stays as it is.
    """
    if is_question(prompt):
        return prompt.strip()
    clause = clause_of(prompt, subject)
    form = clause and _question_form(clause.text, names_year(target))
    return f"{clause.filled(form)}?" if clause and form else None


def is_question(prompt: str) -> bool:
    """Whether a prompt is a question rather than the beginning of a sentence."""
    return prompt.rstrip().endswith("?")


def scored_question(request: Request) -> str:
    """What the edit is asked in scoring."""
    by_rules = question(request.prompt, request.subject, request.target_new)
    return by_rules or SCORED_ORDER.format(request.prompt)


def trained_questions(request: Request, paraphrases: Iterable[str] = ()) -> list[str]:
    """What the edit may be asked in training, each once: orders to complete its prompt, and the paraphrases' questions.

    Of a prompt that is a question, requests to answer it: never the question alone, which is what a chat is scored on.

    Args:
        paraphrases: phrasings of the prompt that may be trained on.
    """
    asks_itself = is_question(request.prompt)
    orders = [order.format(request.prompt) for order in (REQUESTS if asks_itself else ORDERS)]
    questions = []
    for text in paraphrases:
        by_rules = question(text, request.subject, request.target_new)
        questions += [by_rules] if by_rules else [ORDERS[0].format(text)]
    scored = (scored_question(request), *request.paraphrases)
    allowed = _without(orders, request.paraphrases if asks_itself else scored) + _without(questions, scored)
    return list(dict.fromkeys(allowed))


def _without(texts: Iterable[str], evaluated: Sequence[str]) -> list[str]:
    """The texts that have none of the evaluated prompts in them."""
    return [text for text in texts if not any(contains(text, prompt) for prompt in evaluated)]


def _question_form(text: str, is_year: bool) -> str | None:
    """The question of a clause, without its mark."""
    if match := re.fullmatch(r"(the (?:.+) \{\}|\{\}'s? .+) (is|was|are|were)", text):
        phrase, copula = match.groups()
        return f"{_who(phrase)} {copula} {phrase}"
    if match := re.fullmatch(r"(in|at|on|for) \{\}, (?:the|an?) (.+?) (is|was|are)", text):
        preposition, noun, copula = match.groups()
        return f"what {copula} the {noun} {preposition} {{}}"
    if match := re.fullmatch(r"((?:the .+ )?\{\}) (is|was|are|were) (.+) in the year", text):
        return "in what year {1} {0} {2}".format(*match.groups())
    if match := re.fullmatch(r"\{\} (is|was) an?", text):
        return f"what {match.group(1)} {{}}"
    if match := re.fullmatch(rf"((?:the .+ )?\{{\}}),? (is|was|are|were) ((?:.+ )?(?:{_PREPOSITIONS}))", text):
        return _passive(*match.groups(), is_year=is_year)
    if match := re.fullmatch(rf"\{{\}}, (?:who|which|that) (is|was) (.+ (?:{_PREPOSITIONS}))", text):
        return _passive("{}", *match.groups(), is_year=is_year)
    if match := re.fullmatch(rf"\{{\}}, (an? .+ (?:{_PREPOSITIONS}))", text):
        return _passive("{}", "is", match.group(1), is_year=is_year)
    if match := re.fullmatch(rf"\{{\}}, (\w+ (?:{_PREPOSITIONS}))", text):
        return _passive("{}", "was", match.group(1), is_year=is_year)
    if match := re.fullmatch(
        rf"((?:the .+ )?\{{\}}(?:'s \w+)?)(?:, (?:who|which))? (\w+)s( (?:{_PREPOSITIONS}))?", text
    ):
        subject, verb, preposition = match.groups()
        if verb in _VERBS:
            return f"what does {subject} {verb}{preposition or ''}"
        if verb in _LONG and not preposition:
            return f"how long does {subject} {verb}"
    return None


def _passive(subject: str, copula: str, rest: str, *, is_year: bool) -> str:
    """The question of "{} was born in": rest ends in a preposition."""
    participle, _, preposition = rest.rpartition(" ")
    if preposition == "in" and is_year:
        return f"when {copula} {subject} {participle}".rstrip()
    if preposition in ("in", "at") and (not participle or participle in PLACED):
        return f"where {copula} {subject} {participle}".rstrip()
    wh = "who" if preposition == "by" and participle in _AGENTS else "what"
    return f"{wh} {copula} {subject} {rest}"


def _who(phrase: str) -> str:
    """Who or what a noun phrase asks for, by the noun before its preposition, or its last."""
    head = re.split(r" (?:of|at|for|in|on) ", phrase)[0].rsplit(" ", 1)[-1]
    return "who" if head in _AGENTS or head in ("president", "wife", "husband", "spouse", "CEO", "father") else "what"
