"""Every file of experiments/: its rows can run, say what they are, and stand beside what is published of them."""

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from apps import table
from lib.core import params
from lib.core.editor_presets import resolved
from lib.editors import editor
from lib.experiments.configs import CONFIGS
from lib.experiments.dry_run import checked
from lib.experiments.files import Experiments, Scale, read_experiments
from lib.experiments.workspace import Workspace
from lib.metrics import published
from lib.models.architecture import shape
from tests.helpers.stages import READ_PARAMS

FOLDER = params.ROOT / "experiments"
PAPERS = sorted(FOLDER.glob("*/*.yaml"))
FILES = [*sorted(FOLDER.glob("*.yaml")), *PAPERS]
SWITCHES = {
    "editor": (), "protocol.kind": (), "regularize.method": (), "train.objective": (), "train.mask_prompt": (),
    "train.dpo": (), "train.text": (), "para.method": ("para.n",), "neighbors.kind": ("neighbors.n",),
}  # fmt: skip
"""What makes a row what it is, and what else must be said where that is not `none`."""
OLDEST = {"stream": "200"}
"""Files whose rows are too long for every edit's texts: those of the first so many, the oldest."""
NAMED = ("dataset", "model", "facts.limit", "facts.draw")
"""What the papers' tables say besides."""


def spelled(file: Experiments, row: str) -> dict[str, str]:
    """What a row sets, by key."""
    return dict(change.split("=", 1) for change in file.changes(row, 0, []))


def identity(file: Path) -> str:
    return str(file.relative_to(FOLDER))


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=identity)
def test_every_row_at_every_scale_fits_params_presets_and_editor(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(params, "read_params", READ_PARAMS)
    workspace, experiments = Workspace.of(params.ROOT), read_experiments(file)
    scales: list[Scale] = ["paper", "small"]
    for scale, row in [(name, row) for name in scales for row in experiments.selected([], name)]:
        values = workspace.resolved(experiments.changes(row, 0, [], scale))
        root, model, _ = checked(values)
        config = CONFIGS.get(root.model)
        preset = values.get(f"configs/editors/{root.editor}.yaml", {})
        settings, _ = resolved(preset, root.editor, shape(config) if config else None)
        params.check(settings, editor(root.editor).Settings, f"{row}: {root.editor}")
        if file in PAPERS:
            assert config is not None or model.tiny, row


@pytest.mark.parametrize("file", FILES, ids=identity)
def test_every_row_spells_out_what_it_is_and_asks_for_the_texts_that_the_headline_is_of(file: Path) -> None:
    """None of it is left to params.yaml, in which another default would make it another row."""
    experiments = read_experiments(file)
    for row in experiments.rows:
        changes = spelled(experiments, row)
        for switch, numbers in SWITCHES.items():
            assert switch in changes, f"{row}: {switch}"
            assert changes[switch] == "none" or not {*numbers} - {*changes}, f"{row}: {numbers}"
        greedy = OLDEST.get(file.stem, "null")
        sampled = "null" if experiments.published == "texts" else "0"
        assert (changes["score.greedy.limit"], changes["score.generations.limit"]) == (greedy, sampled)


@pytest.mark.parametrize("file", PAPERS, ids=identity)
def test_a_papers_table_names_dataset_model_edits_and_how_they_are_drawn_and_has_a_small_scale(file: Path) -> None:
    experiments = read_experiments(file)
    for row in experiments.rows:
        changes = spelled(experiments, row)
        assert {*NAMED} <= {*changes}, row
        assert changes["facts.draw"] == "random"
    assert "facts.seed" in experiments.seed_params
    assert "model=smollm2-135m" in experiments.small["set"]


@pytest.mark.parametrize("file", PAPERS, ids=identity)
def test_every_published_row_is_a_row_of_the_table(file: Path) -> None:
    experiments = read_experiments(file)
    assert (experiments.published is None) == (file.parent.name == "rect" and file.stem != "table1")
    if experiments.published and experiments.show == "headline":
        rows = {*published.named(experiments.published).values}
        assert rows - {*experiments.rows} == set()


def test_every_table_of_the_papers_has_its_file_and_its_line_in_the_docs() -> None:
    page = (params.ROOT / "docs/reproduce.md").read_text()
    assert {identity(file) for file in PAPERS if f"experiments/{identity(file)}" not in page} == set()
    assert {read_experiments(file).published for file in PAPERS} - {None} == {*published.NAMED}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (
            ["ft/table2-zsre.yaml"],
            ["lora on gpt-j-6b; zsre, 10,000 edits (drawn with seed 0), all at once", "GiB on one H100 SXM",
             "layers [21]", "zsre_mend_eval.json", "model EleutherAI/gpt-j-6b at revision 47e1"],
        ),
        (
            ["rect/figure3.yaml", "--scale", "small"],
            ["rome on smollm2-135m; zsre, 20 edits (drawn with seed 0), batches of 1, scored after 1, 5, 10, 15, 20",
             "needs not computed for a CPU", "LLaMA-1 7B, KN: left out at this scale"],
        ),
        (["stream.yaml"], ["wikibigedit, 2,000 edits (the first ones), batches of 100, scored after 100, 500, 1000",
                          "the rest held, rank 64, 40 epochs"]),
        (["rect/figure4.yaml", "--rows", "LLaMA-1 7B, MEMIT, batch 10"], ["task dialogue: mutual_dev.jsonl"]),
    ],
)  # fmt: skip
def test_a_dry_run_says_what_rows_do_and_need_without_a_network(
    arguments: list[str], lines: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a dry run asks no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(params, "read_params", READ_PARAMS)
    monkeypatch.setattr(sys, "argv", ["table", str(FOLDER / arguments[0]), *arguments[1:], "--dry-run"])
    table.main()
    printed = capsys.readouterr().out
    assert [line for line in lines if line not in printed] == []
