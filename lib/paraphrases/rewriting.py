"""What a chat model is told to rewrite, and the candidates in its answer.

A small model goes on where it should stop ("The head office of Ada Ltd is in the port of ..."), so that an answer gives
as candidates its own beginnings that could stand right before an object, too; which of them do, is measured
(lib/paraphrases/nearness.py).
"""

from collections.abc import Collection, Iterator, Sequence

from lib.core.inflection import FUNCTION_WORDS, mentions
from lib.core.records import Request
from lib.core.texts import words
from lib.core.words import is_unspaced
from lib.models.templates import Turn

_NOUN, _OTHER = (
    ("Say this unfinished sentence in other words",
     (("Emma was written by", "The author of Emma is"),
      ("Lake Geneva lies between", "The countries around Lake Geneva are"),
      ("The Danube flows into the", "The mouth of the Danube is in the"))),
    ("Give another beginning for this sentence, with the same ending",
     (("The Danube flows into the", "The waters of the Danube reach the"),
      ("Emma was written by", "Emma is a novel by"),
      ("Marie Curie grew up in", "Marie Curie spent her childhood in"))),
)  # fmt: skip
INSTRUCTIONS = (_NOUN, _OTHER)
"""What is asked for, and worked examples."""
_BEFORE_OBJECT = FUNCTION_WORDS - {"and", "which", "who", "whose", "it", "been", "be"}
_NEW_WORDS, _NEW_WORDS_CUT = 3, 1
"""Content words that a rewriting may have beyond the prompt's; one that was cut has been going astray."""


def earlier_turns(instruction: int) -> list[Turn]:
    """The conversation before the message: every example asked for in the words of the instruction."""
    order, examples = INSTRUCTIONS[instruction]
    return [(f"{order}: {prompt}", rewriting) for prompt, rewriting in examples]


def message(prompt: str, instruction: int) -> str:
    """What the model is told."""
    return f"{INSTRUCTIONS[instruction][0]}: {prompt}"


def rewritings(answer: str, request: Request) -> Iterator[str]:
    """The candidates in an answer: its first line, and beginnings of it that end before an object may stand."""
    line = answer.strip().split("\n")[0].strip().strip('"')
    parts = line.split()
    for end in range(1, len(parts) + 1):
        text = " ".join(parts[:end])
        is_cut = end < len(parts) or line.endswith((".", "!", "..."))
        if is_cut and parts[end - 1].lower() not in _BEFORE_OBJECT:
            continue
        if is_plausible(text, request, _NEW_WORDS_CUT if is_cut else _NEW_WORDS):
            yield text


def is_plausible(text: str, request: Request, new_words: int) -> bool:
    """Whether a text has the subject as the prompt has it, and beyond the prompt no name or number and few words."""
    if request.subject and (
        not mentions(text, request.subject, request.prompt)
        or _article(text, request.subject) != _article(request.prompt, request.subject)
    ):
        return False
    familiar = {*words(request.prompt), *FUNCTION_WORDS}
    novel = [part for part in text.split()[1:] if not familiar.issuperset(words(part))]
    if any(part[:1].isupper() or any(letter.isdigit() for letter in part) for part in novel):
        return False
    return _new_words(words(text), familiar) <= new_words


def _new_words(of_text: Sequence[str], familiar: Collection[str]) -> int:
    """How many different words of a text are new; in a script without spaces letters in a row are one."""
    new = {word for word in of_text if word not in familiar and not is_unspaced(word)}
    flags = [is_unspaced(word) and word not in familiar for word in of_text]
    return len(new) + sum(flag and not before for flag, before in zip(flags, [False, *flags], strict=False))


def _article(text: str, subject: str) -> str | None:
    """The article before the subject: a name that gets one becomes another thing."""
    before = text.partition(subject)[0].split()
    return before[-1].lower() if before and before[-1].lower() in ("a", "an", "the") else None
