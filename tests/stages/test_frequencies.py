"""Stage `frequencies`: fitted on the dataset's texts, or read from the published files."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lib.core.records import Request, Text
from lib.core.tables import write
from lib.metrics import consistency
from stages import frequencies
from tests.helpers.stages import change_params, run_main


def made(folder: Path, monkeypatch: pytest.MonkeyPatch, published: str | None) -> tuple[consistency.WordWeights, Any]:
    """What the stage writes of two edits that share a reference, and two pieces of text."""
    requests = [
        Request(
            request_id=name, dataset="own", subject=None, relation=None, prompt="p", template=None, target_new="t",
            target_true=None, references=("wine of Gaul",),
        )
        for name in ("a", "b")
    ]  # fmt: skip
    write(folder / "requests.parquet", Request, requests)
    write(folder / "text.parquet", Text, [Text(text="wine roads", split="train"), Text(text="walls", split="heldout")])
    change_params(monkeypatch, frequencies={"folder": published})
    names = {
        "requests": "requests.parquet",
        "text": "text.parquet",
        "frequencies": "out.json",
        "metrics": "metrics.json",
    }
    run_main(frequencies, {name: folder / file for name, file in names.items()})
    return consistency.read(folder / "out.json"), json.loads((folder / "metrics.json").read_text())


def test_they_are_fitted_on_every_different_text_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted, metrics = made(tmp_path, monkeypatch, None)
    assert fitted.words == ("gaul", "of", "roads", "walls", "wine")
    once, twice = (math.log(4 / (1 + times)) + 1 for times in (1, 2))
    assert fitted.idf == pytest.approx([once, once, once, once, twice])
    assert (metrics["source"], metrics["texts"], metrics["words"]) == ("fitted", 3, 5)


def test_published_files_are_taken_where_a_folder_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / frequencies.IDF, np.array([2.0, 1.5]))
    (tmp_path / frequencies.VOCABULARY).write_text('{"walls": 1, "gaul": 0}')
    published, metrics = made(tmp_path, monkeypatch, str(tmp_path))
    assert published == consistency.WordWeights(words=("gaul", "walls"), idf=(2.0, 1.5))
    assert (metrics["source"], metrics["words"]) == ("published", 2)


def test_a_folder_without_them_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere.*idf\.npy.*tfidf_vocab\.json.*frequencies\.folder"):
        made(tmp_path, monkeypatch, "nowhere")
