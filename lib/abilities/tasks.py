"""What configs/abilities/*.yaml names with !function: where a task's documents come from, and what an answer scores.

The harness calls a `custom_dataset` with the task's metadata and with what `given` adds to it, and a `process_results`
with a document and the model's answers. The paper's prompts are in the YAML; the arithmetic is in answers.py.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lib.abilities import answers as ability_metrics
from lib.abilities import documents as ability_data
from lib.abilities import pool_tasks
from lib.abilities.documents import Document
from lib.core.records import Fact
from lib.core.tables import read

Metrics = dict[str, Any]
_THEREFORE = "the answer (arabic numerals) is:"


def given(*, folder: str | None, pool: Path, seed: int) -> dict[str, Any]:
    """What every task is told besides its own metadata: the folder with data files, the pool, and a seed."""
    return {"folder": folder, "pool": str(pool), "pool_seed": seed}


def data_files(folder: str | None, metadata: Iterable[Mapping[str, Any]]) -> dict[str, Path]:
    """The files in the folder that tasks with this metadata are read from, by name."""
    names = {name for entry in metadata for name in entry.get("files", ())} if folder is not None else set()
    candidates = {name: Path(folder or "") / name for name in sorted(names)}
    return {name: path for name, path in candidates.items() if path.is_file()}


def documents(
    *, reader: str, files: Sequence[str], hub: Mapping[str, Any] | None, folder: str | None = None, **_: Any
) -> dict[str, Any]:
    """The documents of a published task: from the first of `files` that lies in `folder`, or from the hub.

    Raises FileNotFoundError where the folder has none of them, or where there is no folder and the task is on no hub.
    """
    if folder is not None:
        path = next((Path(folder) / name for name in files if (Path(folder) / name).is_file()), None)
        if path is None:
            raise FileNotFoundError(
                f"{folder} (abilities.folder): wanted {' or '.join(files)}; found neither. Put the published file "
                "there (docs/abilities.md says where it is from)."
            )
        return _splits(test=ability_data.documents(ability_data.rows(path), reader, path.name))
    if hub is None:
        raise FileNotFoundError(
            f"abilities.folder is null, and {files[0]} is on no hub in a form that is read without running its code. "
            "Put the file into a folder and give -S abilities.folder=<folder>."
        )
    return _splits(test=ability_data.documents(_hub_rows(hub), reader, f"{hub['path']}@{hub['revision']}"))


def _hub_rows(hub: Mapping[str, Any]) -> Any:
    from datasets import load_dataset  # only a task that is fetched needs it here

    source = f"{hub['path']} at {hub['revision']}"
    how = "Put the published file into a folder and give -S abilities.folder=<folder> (docs/abilities.md)."
    if os.environ.get("ERRATA_OFFLINE") == "1":
        raise FileNotFoundError(f"{source}: ERRATA_OFFLINE=1 forbids to fetch it. {how}")
    try:
        return load_dataset(hub["path"], hub["name"], split=hub["split"], revision=hub["revision"])
    except ConnectionError as error:
        raise FileNotFoundError(f"{source}: the hub does not answer ({error}). {how}") from None


def pool_recall(*, pool: str, **_: Any) -> dict[str, Any]:
    """Every fact of the pool as a prompt and its continuation."""
    return _splits(test=pool_tasks.recall_documents(read(Path(pool), Fact)))


def world_four_choice(*, pool: str, pool_seed: int, **_: Any) -> dict[str, Any]:
    """Four-choice questions over the pool."""
    return _splits(test=pool_tasks.four_choice(read(Path(pool), Fact), pool_seed))


def world_yes_no(*, pool: str, pool_seed: int, **_: Any) -> dict[str, Any]:
    """Yes/no questions over the pool, and the examples that come before each."""
    examples, questions = pool_tasks.yes_no(read(Path(pool), Fact), pool_seed)
    return _splits(examples=examples, test=questions)


def _splits(**splits: list[Document]) -> dict[str, Any]:
    from datasets import Dataset  # takes half a second to import, and only the harness needs its class

    return {name: Dataset.from_list(rows) for name, rows in splits.items()}


def reasoning(document: Document, answers: Sequence[str]) -> Metrics:
    """The first number behind "the answer (arabic numerals) is:" is the gold one."""
    return {"solve_rate": ability_metrics.solve_rate(answers[0].rpartition(_THEREFORE)[2], document["answer"])}


def published_reasoning(document: Document, answers: Sequence[str]) -> Metrics:
    """The gold number occurs in the answer."""
    return {"solve_rate": ability_metrics.published_solve_rate(answers[0], document["answer"])}


def _labelled(score: Callable[[str, str], float], *names: str) -> Callable[[Document, Sequence[str]], Metrics]:
    def scored(document: Document, answers: Sequence[str]) -> Metrics:
        return dict.fromkeys(names, score(answers[0], document["label"]))

    return scored


accuracy = _labelled(ability_metrics.exact_label, "accuracy")
published_accuracy = _labelled(ability_metrics.published_label, "accuracy")
closed_qa = _labelled(ability_metrics.exact_label, "exact_match")
published_closed_qa = _labelled(ability_metrics.published_yes_no, "exact_match")
dialogue = _labelled(ability_metrics.exact_label, "recall_4_at_1")
published_dialogue = _labelled(ability_metrics.published_letter, "recall_4_at_1")


def open_qa(document: Document, answers: Sequence[str]) -> Metrics:
    """A gold answer occurs in the answer."""
    return {"exact_match": ability_metrics.exact_match(answers[0], document["answers"])}


def published_open_qa_prompt(document: Document) -> str:
    """The prompt, which the released scoring searches together with the answer."""
    return (
        "Refer to the passage below and answer the following question. "
        f"Passage: {document['passage']} Question: {document['question']}"
    )


def published_open_qa(document: Document, answers: Sequence[str]) -> Metrics:
    """A gold answer occurs in the prompt or in the answer."""
    prompt = published_open_qa_prompt(document)
    return {"exact_match": ability_metrics.published_exact_match(prompt, answers[0], document["answers"])}


def summarization(document: Document, answers: Sequence[str]) -> Metrics:
    """ROUGE-1, -2, -L and their mean."""
    return dict(ability_metrics.rouge(answers[0], document["summary"]))


def published_summarization(document: Document, answers: Sequence[str]) -> Metrics:
    """The same without the last 13 characters of the answer."""
    return dict(ability_metrics.published_rouge(answers[0], document["summary"]))


def ner(document: Document, answers: Sequence[str]) -> Metrics:
    """(right, wrong, missed) entities, from which each metric is computed over all examples."""
    counts = ability_metrics.entity_counts(answers[0], document["entities"])
    return dict.fromkeys(("f1", "precision", "recall"), (counts.right, counts.wrong, counts.missed))


def published_ner(document: Document, answers: Sequence[str]) -> Metrics:
    """(type, gold entities that occur in the answer, gold entities)."""
    return {"f1": (document["type"], *ability_metrics.published_found(answers[0], document["entities"]))}
