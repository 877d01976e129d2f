"""The files of the eight general-ability tasks, read into documents: plain dicts that the prompts in
configs/abilities/ take their fields from.

Each reader takes a file as it is published (and as its task's YAML names it) and raises InputError, with the place,
where a record lacks what the prompt needs. A hub's rows go through the same functions.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lib.core.errors import InputError
from lib.data import csv_rows
from lib.data.files import decoded, read_json, read_jsonl
from lib.data.rows import Notes, RowError, has_surrogate, shown

Document = dict[str, Any]
ENTITIES = {"PER": "Person", "LOC": "Location", "ORG": "Organization", "MISC": "Miscellaneous"}
"""CoNLL-2003's tags and how the prompt names them, in the order of the prompts."""
_NO_SPACE_BEFORE = (",", ".")


def rows(path: Path) -> list[Mapping[str, Any]]:
    """The records of a JSON, JSON Lines or tab-separated file, or the sentences of a CoNLL file.

    A sentence is {"words": [...], "tags": [...]}.
    """
    suffix = path.suffix.lower()
    if suffix == ".txt":
        return list(sentences(decoded(path).split("\n"), str(path)))
    if suffix == ".tsv":
        return _tab_separated(path)
    file = (read_json if suffix == ".json" else read_jsonl)(path)
    if file.rejects:
        first = file.rejects[0]
        raise InputError(f"{path}: record {first.line}: {first.reason}. Put the published file in its place.")
    return [row.values for row in file.rows]


def _tab_separated(path: Path) -> list[Mapping[str, Any]]:
    """Quoted like CSV, unless it is as GLUE publishes it: then a quotation mark is a character like any other."""
    text = decoded(path)
    records: list[Mapping[str, Any]] = []
    header: list[str] = []
    for line, cells in plain_rows(text) if text.startswith("index\t") else csv_rows.rows(text, Notes(), "\t"):
        if isinstance(cells, RowError):
            raise InputError(f"{path}: line {line}: {cells.reason}. Put the published file in its place.")
        header = header or cells
        if len(cells) != len(header):
            raise InputError(
                f"{path}: line {line}: wanted {len(header)} cells, parted by tabs; found {len(cells)}. Put the "
                "published file in its place."
            )
        records.append(dict(zip(header, cells, strict=True)))
    if len(records) < 2:
        raise InputError(f"{path}: wanted a header and rows parted by tabs; found none")
    return records[1:]


def plain_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of every line that is not blank."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line.removesuffix("\r").split("\t")


def sentences(lines: Iterable[str], where: str) -> Iterator[Mapping[str, Any]]:
    """Sentences of a CoNLL file: a token and its tag in the first and last column, a blank line after each."""
    words: list[str] = []
    tags: list[str] = []
    for number, line in enumerate((*lines, ""), start=1):
        columns = line.split()
        if columns and len(columns) < 2:
            raise InputError(f"{where}: line {number}: wanted a token and its tag; found {line!r}")
        if columns:
            words.append(columns[0])
            tags.append(columns[-1])
        elif words:
            yield {"words": words, "tags": tags}
            words, tags = [], []


def gsm8k(row: Mapping[str, Any]) -> Iterator[Document]:
    """A problem with the gold rationale (as it stands before ####) and the gold number."""
    rationale, mark, number = row["answer"].rpartition("#### ")
    if not mark:
        raise InputError(f"wanted an answer that ends in '#### <number>'; found {row['answer'][-40:]!r}")
    yield {"question": row["question"], "rationale": rationale, "answer": number.strip()}


def rte(row: Mapping[str, Any]) -> Iterator[Document]:
    """Two sentences, and "True" where the first entails the second (label 0, or entailment)."""
    labels = {"0": "True", "entailment": "True", "1": "False", "not_entailment": "False"}
    yield {
        "sentence1": row["sentence1"],
        "sentence2": row["sentence2"],
        "label": _one_of(labels, row["label"]),
    }


def natural_questions(row: Mapping[str, Any]) -> Iterator[Document]:
    """A question, a passage written by a model, and every accepted answer."""
    passages = row["output"]
    yield {"question": row["question"], "passage": passages[0].strip(), "answers": list(row["answer"])}


def published_natural_questions(row: Mapping[str, Any]) -> Iterator[Document]:
    """The same with the passage as it stands in the file, line ends included."""
    for document in natural_questions(row):
        yield document | {"passage": row["output"][0]}


def boolq(row: Mapping[str, Any]) -> Iterator[Document]:
    """A passage, a question, and "yes" or "no"."""
    answer = row["answer"]
    if not isinstance(answer, bool):
        raise InputError(f"answer: wanted true or false; found {answer!r}")
    yield {"passage": row["passage"], "question": row["question"], "label": "yes" if answer else "no"}


def mutual(row: Mapping[str, Any]) -> Iterator[Document]:
    """A dialogue, four replies, and the letter of the right one."""
    options = list(row["options"])
    if len(options) != 4 or row["answers"] not in "ABCD":
        raise InputError(f"wanted four options and a letter of A to D; found {len(options)} and {row['answers']!r}")
    yield {"article": row["article"], "options": options, "label": row["answers"]}


def samsum(row: Mapping[str, Any]) -> Iterator[Document]:
    """A dialogue, one utterance a line, and its summary."""
    yield {"dialogue": "\n".join(row["dialogue"].splitlines()).strip(), "summary": row["summary"].strip()}


def published_samsum(row: Mapping[str, Any]) -> Iterator[Document]:
    """The same as they stand in the file."""
    yield {"dialogue": row["dialogue"], "summary": row["summary"]}


def sst2(row: Mapping[str, Any]) -> Iterator[Document]:
    """A snippet of a review, and "positive" (label 1) or "negative"."""
    label = _one_of({"1": "positive", "0": "negative"}, row["label"])
    yield {"text": row["sentence"].strip(), "label": label}


def published_sst2(row: Mapping[str, Any]) -> Iterator[Document]:
    """The same with the space that ends most snippets."""
    for document in sst2(row):
        yield document | {"text": row["sentence"]}


def conll2003(row: Mapping[str, Any]) -> Iterator[Document]:
    """One document an entity type: the sentence, the type, its entities. Marks between articles are left out."""
    if row["words"] != ["-DOCSTART-"]:
        names_and_types = entities(row["words"], row["tags"])
        for number, (tag, kind) in enumerate(ENTITIES.items()):
            gold = [name for name, of in names_and_types if of == tag]
            yield {"text": sentence(row["words"]), "kind": kind, "type": number, "entities": gold}


def published_conll2003(row: Mapping[str, Any]) -> Iterator[Document]:
    """The same as the released code reads it: marks between articles are sentences, and gold is as in its parser."""
    for number, (tag, kind) in enumerate(ENTITIES.items()):
        gold = published_entities(row["words"], row["tags"], tag)
        yield {"text": sentence(row["words"]), "kind": kind, "type": number, "entities": gold}


def sentence(words: Sequence[str]) -> str:
    """The words parted by spaces, but for none before a comma or a full stop (as in the released prompt)."""
    return "".join(word if word in _NO_SPACE_BEFORE else f" {word}" for word in words).removeprefix(" ")


def entities(words: Sequence[str], tags: Sequence[str]) -> list[tuple[str, str]]:
    """(entity, type) of every entity: a B- tag, or an I- tag of another type than the tag before, begins one."""
    spans: list[tuple[list[str], str]] = []
    before = "O"
    for word, tag in zip(words, tags, strict=True):
        mark, _, kind = tag.partition("-")
        if mark == "I" and before[2:] == kind:
            spans[-1][0].append(word)
        elif mark in ("B", "I"):
            spans.append(([word], kind))
        before = tag
    return [(" ".join(parts), kind) for parts, kind in spans]


def published_entities(words: Sequence[str], tags: Sequence[str], kind: str) -> list[str]:
    """The released parser: an entity lasts until the next O, over other entities too.

    At the end of a sentence its last word is lost, so one that is a sentence's last word is "".
    """
    names = []
    at = 0
    while at < len(words):
        if tags[at] == f"B-{kind}":
            end = next((index for index in range(at, len(words)) if tags[index] == "O"), len(words) - 1)
            names.append(" ".join(words[at:end]))
            at = end
        at += 1
    return names


def _one_of(labels: Mapping[str, str], label: Any) -> str:
    if str(label) not in labels:
        raise InputError(f"label: wanted one of {', '.join(labels)}; found {label!r}")
    return labels[str(label)]


def _checked(document: Document) -> Document:
    """The document. Raises InputError unless its values are texts, lists of texts, and the place of its type."""
    for name, value in document.items():
        texts = value if isinstance(value, list) else [value] if name != "type" else []
        wrong = next((text for text in texts if not isinstance(text, str) or has_surrogate(text)), None)
        if wrong is not None or None in texts:
            raise InputError(f"{name}: wanted Unicode text; found {shown(wrong)}")
    return document


READERS: dict[str, Callable[[Mapping[str, Any]], Iterator[Document]]] = {
    reader.__name__: reader
    for reader in (
        gsm8k, rte, natural_questions, published_natural_questions, boolq, mutual, samsum, published_samsum, sst2,
        published_sst2, conll2003, published_conll2003,
    )
}  # fmt: skip
"""By the name that a task's YAML gives."""


def documents(records: Iterable[Mapping[str, Any]], reader: str, source: str) -> list[Document]:
    """Every record's documents, each saying its `source`. Raises InputError naming the record that does not fit."""
    collected: list[Document] = []
    for number, row in enumerate(records, start=1):
        try:
            collected += [_checked(document) | {"source": source} for document in READERS[reader](row)]
        except (KeyError, ValueError, AttributeError, TypeError, IndexError, RecursionError) as error:
            reason = f"the field {error} is absent" if isinstance(error, KeyError) else str(error)
            raise InputError(f"{source}: record {number}: {reason}. Put the published file in its place.") from None
    if not collected:
        raise InputError(f"{source}: wanted at least one record; found none")
    return collected
