"""The words of a text in any script: what comparing texts goes by (lib/core/texts.py).

In a script that is written without spaces between words, every letter with its marks is a word of its own, so that a
name is found wherever its letters stand; Katakana, in which Japanese writes foreign names, keeps its runs together
(Unicode Standard Annex 29). In Hangul, particles are written onto the word before them: every syllable counts by
itself, and all but a word's first are marked, so that a name is found at the beginning of a word only.
"""

import re
import unicodedata

import regex

_UNSPACED = "".join(
    rf"\p{{{script}}}"
    for script in ("Han", "Hiragana", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan", "Javanese", "Balinese", "Tai_Le",
                   "New_Tai_Lue", "Tai_Tham", "Tai_Viet", "Yi")
)  # fmt: skip
"""Scripts without spaces between words."""
_WORD = r"\p{L}\p{M}\p{N}_"
_KATAKANA = r"[[\p{scx=Kana}--\p{scx=Hani}]&&\p{L}]"
_SPACED = rf"[[{_WORD}]--[{_UNSPACED}]--\p{{Hangul}}--{_KATAKANA}]"
_SILENT = r"\p{L}[\u0e4c\u0ecc\u103a]\p{M}*"
"""A letter under a sign that takes its vowel (Thai, Lao, Burmese): it ends the syllable before it."""
_THOUSANDS = r"\d{1,3}(?:[,'\u2019\u066c]\d{3})+(?:[.\u066b]\d+)?(?![.,]?\d)"
_DECIMAL, _FRACTION = r"\d+[.,\u066b]\d+(?![.,/]?\d)", r"\d{1,3}[/\u2044]\d{1,3}(?![/\d])"
_NUMBER = rf"(?<!\d[.,/])(?:{_THOUSANDS}|{_DECIMAL}|{_FRACTION})"
"""A number that is written in parts: 1,000, 5.3 and 1/2, but no date and no version."""
_SIGN = rf"(?<![{_WORD})\]+\-\u2212])[+\-\u2212](?=\d)"
"""Of a number; a hyphen between words is none."""
_SUFFIX = rf"(?:\+{{2,}}|[+#♯♭](?![{_WORD}])|(?<=\p{{L}})(?<!\p{{L}}{{3}})[-\u2212](?![{_WORD}]))?"
"""Makes another name of a word: C++, C#, A+, A-."""
_TOKEN = regex.compile(
    rf"(?V1)(?:{_SIGN})?(?:{_NUMBER}|\d+{_SPACED}*)|{_SPACED}+{_SUFFIX}|{_KATAKANA}[{_KATAKANA}\p{{M}}]*"
    rf"|(?P<inside>(?<=\p{{Hangul}}\p{{M}}*)\p{{Hangul}}\p{{M}}*)|\p{{Hangul}}\p{{M}}*"
    rf"|[[{_UNSPACED}]&&[{_WORD}]]\p{{M}}*(?:{_SILENT})*|[-\u2212](?=\p{{Sc}}\d)|[[\p{{Sm}}\p{{Sc}}\p{{So}}%‰]--[©®]]"
)
_IGNORABLE = regex.compile(r"\p{Default_Ignorable_Code_Point}+")
_NOT_WORD = re.compile(r"[^\w]+")
_PLAIN = re.compile(r"[+#$%<=>|~]|-(?![A-Za-z])|(?<![A-Za-z0-9])-|\d[.,'/]\d")
"""What an ASCII text must not have to be taken apart at everything that is no letter."""
_INSIDE = "\N{CHARACTER TIE}"
_SAME = str.maketrans("\u2212\u2044\u2019\u066c", "-/',")


def words(text: str) -> tuple[str, ...]:
    """The words of `text` for comparison: compatibility-normalised, casefolded, punctuation dropped.

    Marks and signs that make another word stay: vowel signs, the parts and the sign of a number, C++, currencies.
    """
    if text.isascii() and not _PLAIN.search(text):
        return tuple(_NOT_WORD.sub(" ", text.casefold()).split())
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    folded = _IGNORABLE.sub("", folded).replace("i\N{COMBINING DOT ABOVE}", "i")
    return tuple(
        _INSIDE + match[0] if match["inside"] else match[0].translate(_SAME) for match in _TOKEN.finditer(folded)
    )


_LETTERS = regex.compile(rf"(?V1)[{_UNSPACED}]")
_IS_KATAKANA = regex.compile(rf"(?V1){_KATAKANA}")
_IS_HANGUL = regex.compile(r"\p{Hangul}")
_IS_MARK = regex.compile(r"\p{M}")
_ENDS_SYLLABLE = regex.compile(_SILENT)


def is_unspaced(letter: str) -> bool:
    """Whether a character is of a script without spaces between words."""
    return bool(_LETTERS.match(letter) or _IS_KATAKANA.match(letter))


def is_hangul(letter: str) -> bool:
    """Whether a character is Korean: words have spaces between them, and particles stand on the words."""
    return bool(_IS_HANGUL.match(letter))


def continues_word(following: str, before: str = "") -> bool:
    """Whether the text `following` makes a word longer that ends in `before`.

    A letter of a script without spaces never does, nor does a Korean particle; a combining mark always does, since it
    belongs to the last letter.
    """
    if _IS_MARK.match(following) or _ENDS_SYLLABLE.match(following):
        return True
    if _IS_KATAKANA.match(following):
        return bool(_IS_KATAKANA.match(before[-1:]))
    if is_unspaced(following) or is_hangul(following) or is_unspaced(before[-1:]):
        return False
    return following[:1].isalnum()
