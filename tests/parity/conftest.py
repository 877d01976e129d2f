"""Fixtures of the parity tests."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lib.methods.locating import layered as locate_then_edit
from lib.methods.locating import rank_one
from lib.methods.locating.second_moments import save_moment, second_moments
from lib.models.architecture import architecture
from tests.conftest import reference_folder
from tests.helpers.models import golden_model
from tests.parity.reference import document

FAMILIES = ["gpt2", "gptj", "llama"]
collect_ignore = [] if reference_folder().is_dir() else ["test_compact_values.py"]
"""That the compact values are those of the folder can be tested only where the folder is."""


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    """One of the tiny models."""
    return str(request.param)


@pytest.fixture(scope="session")
def statistics_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function from a model to the folder with its second moments, gathered from the reference texts once."""
    folders: dict[str, Path] = {}

    def gathered(family: str) -> Path:
        if family not in folders:
            model, tokenizer = golden_model(family)
            arch = architecture(model)
            paths = [arch.mlp_out_of(layer) for layer in range(arch.layers(model))]
            folder = tmp_path_factory.mktemp(family)
            texts = document("inputs/covariance_texts")
            moments = second_moments(model, tokenizer, texts, paths, 1024, folder, lambda parts: parts)
            for path, moment in moments.items():
                save_moment(folder, path, moment)
            folders[family] = folder
        return folders[family]

    return gathered


@pytest.fixture
def statistics(family: str, statistics_of: Callable[[str], Path]) -> Path:
    """The folder with the second moments of a test's model."""
    return statistics_of(family)


@pytest.fixture
def reference_contexts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The contexts that the reference values were computed with, in place of sampled ones."""
    templates = document("inputs/context_templates")
    monkeypatch.setattr(rank_one, "rome_contexts", lambda *_: [templates["rome"]])
    monkeypatch.setattr(locate_then_edit, "memit_contexts", lambda *_, **__: templates["memit"])
