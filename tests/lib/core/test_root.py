"""Whatever is wrong in params.yaml, its presets or their combination is refused by the first stage."""

import re
from pathlib import Path
from typing import Any

import pytest

from lib.core import params, params_table
from lib.core.errors import InputError
from lib.core.root import read_root
from stages import facts
from tests.helpers.stages import READ_PARAMS, change_params, run_main


def test_the_repositorys_own_settings_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(params, "read_params", READ_PARAMS)
    root = read_root()
    assert (root.dataset, root.model, root.editor) == ("almanac", "smollm2-135m", "lora")
    assert root.facts.edits == 30


def test_the_number_of_edits_is_the_presets_unless_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    change_params(monkeypatch, dataset="counterfact")
    assert read_root().facts.edits == 100
    change_params(monkeypatch, dataset="counterfact", facts={"limit": 7})
    assert read_root().facts.edits == 7
    change_params(monkeypatch, dataset="own")
    assert read_root().facts.edits is None
    with pytest.raises(ValueError, match="auto must be replaced"):
        _ = params.section("facts", params.Facts).edits


def test_neighbors_of_facts_without_relations_are_similar_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_root().neighbors.kind == "random"
    change_params(monkeypatch, dataset="own")
    assert read_root().neighbors.kind == "similar"
    change_params(monkeypatch, dataset="own", neighbors={"kind": "none"})
    assert read_root().neighbors.kind == "none"


def test_sentences_are_encoded_by_a_trained_model_for_every_pretrained_model(monkeypatch: pytest.MonkeyPatch) -> None:
    change_params(monkeypatch, model="smollm2-135m")
    assert read_root().neighbors.encoder == "minilm"
    change_params(monkeypatch, model="tiny")
    assert read_root().neighbors.encoder == "hashing"
    change_params(monkeypatch, model="smollm2-135m", neighbors={"encoder": "hashing"})
    assert read_root().neighbors.encoder == "hashing"


BAD: dict[str, Any] = {
    "dataset=worlds": "dataset: wanted one of .*Did you mean 'world'",
    "model=tinny": "model: wanted one of .*Did you mean 'tiny'",
    "editor=lorra": "editor: wanted one of .*Did you mean 'lora'",
    "editor=None": "editor: .*found None",
    "seed='a'": "seed: ",
    "train.epochs=0": "train.epochs: ",
    "train.lr=-0.001": "train.lr: ",
    "train.lr=float('nan')": "train.lr: ",
    "train.batch_size=0": "train.batch_size: ",
    "train.micro_batch_tokens=0": "train.micro_batch_tokens: ",
    "para.n=-1": "para.n: ",
    "para.prefix_tokens=[]": "para.prefix_tokens: ",
    "seed=-1": "seed: ",
    "score.generations.seed=-1": "score.generations.seed: ",
    "score.greedy.limit=-1": "score.greedy.limit: ",
    "neighbors.n=-1": "neighbors.n: ",
    "para.methods='both'": "para.methods: unknown key. Did you mean 'method'",
    "para.model=models/writer para.method='both'": "para.model: it writes by chat, .*found para.method=both",
    "neighbors.kind='nearest'": "neighbors.kind: ",
    "protocol.kind='batch'": "protocol.kind: ",
    "regularize.method='rekt'": "regularize.method: ",
    "regularize.keep=0": "regularize.keep: ",
    "score.rows=0": "score.rows: ",
    "score.greedy.tokens=0": "score.greedy.tokens: ",
    "abilities.limit=0": "abilities.limit: ",
    "statistics.n_samples=0": "statistics.n_samples: ",
    "frequencies.folder=3": "frequencies.folder: ",
    "trian={}": "trian: unknown key. Did you mean 'train'",
    "train.objective='held'": "train.objective: held wants the section train.held",
    "train.dpo=0.5 train.mask_prompt=False": "train.dpo: wanted train.mask_prompt=true",
    "train.dpo=0.5 train.masking='published'": "train.masking=published: ",
    "train.text=0.1 protocol.kind='single'": "train.text: single edits",
    "protocol.kind='sequential' protocol.batch_size=4 protocol.checkpoints=[4,5,7]": "protocol.checkpoints: ",
    "protocol.kind='sequential' protocol.checkpoints=[5] facts.limit=3": "protocol.checkpoints: ",
}


def changed(values: dict[str, Any], changes: str) -> dict[str, Any]:
    for change in changes.split():
        path, _, text = change.partition("=")
        *sections, key = path.split(".")
        section = values
        for name in sections:
            section = section[name]
        plain = key in ("dataset", "model", "editor") and text != "None"
        section[key] = text if plain else eval(text)  # the test's own words
    return values


@pytest.mark.parametrize("changes", BAD)
def test_the_first_stage_refuses_a_wrong_setting_before_it_reads_or_writes(
    changes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = params.read_params
    monkeypatch.setattr(
        params,
        "read_params",
        lambda path=params.PARAMS_FILE: changed(read(path), changes if path == params.PARAMS_FILE else ""),
    )
    names = ("requests", "pool", "text", "rejects", "sources", "metrics")
    with pytest.raises(InputError) as raised:
        run_main(facts, {name: tmp_path / name for name in names})
    assert re.search(BAD[changes], str(raised.value))
    assert not list(tmp_path.iterdir())


def test_the_table_of_the_documentation_is_current() -> None:
    text = params_table.FILE.read_text(encoding="utf-8")
    assert params_table.document(text) == text, "run python -m lib.core.params_table"
    assert not [line for line in text.splitlines() if line.endswith("|  |")], "a parameter without a meaning"
