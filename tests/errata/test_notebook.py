"""examples/notebook.ipynb runs from the first cell to the last, here on a random model."""

import json
from pathlib import Path

import pytest

from lib.core import params
from tests.errata.test_library import FACTS, preset
from tests.helpers.models import byte_tokenizer, tiny_model
from tests.helpers.notebook import NOTEBOOK, printed

__all__ = ["preset"]


def test_the_notebook_runs(preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_model("llama").save_pretrained(tmp_path / "model")
    byte_tokenizer().save_pretrained(tmp_path / "model")
    facts = [{"paraphrases": [], **fact} for fact in FACTS]
    values = {"MODEL": str(tmp_path / "model"), "PRESET": preset, "FOLDER": str(tmp_path / "edit"), "FACTS": facts}
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    texts = [text for _, text in printed(notebook, values)]
    *_, edited_and_not, headline, loaded = texts
    assert edited_and_not.startswith("Ada lives in | Rome.")
    assert not edited_and_not.splitlines()[-1].startswith("Ada lives in | Rome.")
    assert "exact_match               100.0" in headline
    assert loaded.startswith("Ada lives in | Rome.")


def test_the_notebook_names_a_model_that_there_is_and_shows_what_it_printed() -> None:
    cells = [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert 'MODEL = "smollm2-135m"' in "".join(cells[0]["source"])
    assert params.preset("models", "smollm2-135m", params.Model).source == "wheel"
    assert sum(bool(cell["outputs"]) for cell in cells) >= 4
