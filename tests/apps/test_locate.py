"""`apps.locate` on a tiny model: the layers that it finds are written where editors read them."""

import shutil
import sys
from pathlib import Path

import pytest

from apps import locate
from lib.core import editor_presets, params
from lib.core.editor_presets import editor_preset
from lib.core.errors import InputError
from lib.core.records import Fact, RecalledFact
from lib.core.tables import write
from lib.editors import editor
from tests.helpers import small
from tests.helpers.small import POOL

SHAPE = "llama-2-32-48"


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Presets, a tiny model, and a pool of which it knows two facts."""
    shutil.copytree(params.PRESETS, tmp_path / "configs")
    for module in (params, editor_presets, locate):
        monkeypatch.setattr(module, "PRESETS", tmp_path / "configs")
    inputs = small.inputs(tmp_path)
    facts = [RecalledFact(prompt=fact.prompt, target=fact.target, is_known=fact is not POOL[0]) for fact in POOL[:3]]
    write(tmp_path / "recall.parquet", RecalledFact, facts)
    quick = ["--samples", "1", "--facts", "2"]
    return ["locate", "--model", str(inputs["model"]), "--pool", str(inputs["pool"]),
            "--recall", str(tmp_path / "recall.parquet"), *quick]  # fmt: skip


def test_the_layers_are_written_where_each_editor_reads_them(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = editor_preset("memit", SHAPE, editor("memit").Settings)
    monkeypatch.setattr(sys, "argv", [*arguments, "--write"])
    locate.main()
    printed = capsys.readouterr().out
    (layer,) = [int(line.split()[1]) for line in printed.splitlines() if line.endswith("<- largest")]
    assert f"  {SHAPE}:\n    layer: {layer}\n" in printed
    assert "2 known facts, seed 0, noise 3, 1 draws, window 1" in printed
    for name in ("rome", "r_rome"):
        assert editor_preset(name, SHAPE, editor(name).Settings).layer == layer  # type: ignore[attr-defined]
    after = editor_preset("memit", SHAPE, editor("memit").Settings)
    assert after == before.model_copy(update={"layers": [*range(layer + 1)]})
    for name in ("emmet", "loc_ft"):
        assert editor_preset(name, SHAPE, editor(name).Settings).layers == [layer]  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=rf"models\.{SHAPE}: has values already"):
        locate.main()


def test_without_write_the_presets_stay_and_other_editors_are_asked_for_by_name(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {path: path.read_text() for path in params.PRESETS.rglob("*.yaml")}
    monkeypatch.setattr(sys, "argv", [*arguments, "--editors", "ft_l"])
    locate.main()
    assert "configs/editors/ft_l.yaml:\nmodels:" in capsys.readouterr().out
    assert {path: path.read_text() for path in params.PRESETS.rglob("*.yaml")} == texts
    monkeypatch.setattr(sys, "argv", [*arguments, "--editors", "ike"])
    with pytest.raises(InputError, match="wanted editors that change chosen layers; found ike"):
        locate.main()


def test_a_shape_for_which_nothing_is_published_gets_its_values(tmp_path: Path) -> None:
    path = tmp_path / "rome.yaml"
    path.write_text("layer: auto\nmodels:\n  a-1-2-3: null   # A\n  b-1-2:\n    layer: 0\n")
    locate.write_entry(path, "a-1-2-3", "  a-1-2-3:\n    layer: 7\n")
    assert path.read_text() == "layer: auto\nmodels:\n  b-1-2:\n    layer: 0\n  a-1-2-3:\n    layer: 7\n"


def test_without_a_known_fact_the_message_says_what_to_do(tmp_path: Path) -> None:
    write(tmp_path / "pool.parquet", Fact, POOL)
    write(tmp_path / "recall.parquet", RecalledFact, [RecalledFact(prompt="x", target="y", is_known=True)])
    with pytest.raises(InputError, match=r"wanted facts of .* that the model knows"):
        locate.known_facts(tmp_path / "pool.parquet", tmp_path / "recall.parquet", 3, 0)
