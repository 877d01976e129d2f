"""A key that is set and has no effect under the other settings is named, with what would give it one."""

import inspect
import logging
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from lib import editors
from lib.core import needs, params, root
from lib.core.conditions import CONDITIONS, value_at
from lib.core.needs import Needs, editors_where
from lib.core.params import ROOT
from lib.core.root import Params, read_root
from stages import facts
from tests.helpers.stages import READ_PARAMS, change_params, run_main


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Any:
    def logged(*sections: str, **changes: Any) -> list[str]:
        caplog.clear()
        change_params(monkeypatch, **changes)
        with caplog.at_level(logging.WARNING):
            read_root(*(sections or Params.model_fields))
        return [record.getMessage() for record in caplog.records]

    return logged


def test_the_repositorys_own_settings_say_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(params, "read_params", READ_PARAMS)
    read_root(*Params.model_fields)
    assert caplog.messages == []


def test_every_key_of_the_table_has_the_repositorys_value() -> None:
    values = READ_PARAMS(ROOT / "params.yaml")
    for condition in CONDITIONS:
        value_at(values, condition.under)
        for key, usual in condition.keys.items():
            assert (key, value_at(values, key)) == (key, usual)


LORA = {"objective": "published"}
SILENT: dict[str, tuple[dict[str, Any], str]] = {
    "beta without DPO": (
        {"train": {**LORA, "dpo_beta": 0.2}},
        "train.dpo_beta=0.2 has no effect with train.dpo=0.0; it has one where train.dpo is above 0",
    ),
    "pairs without DPO": ({"train": {**LORA, "dpo_pairs": "published"}}, "train.dpo_pairs=published has no effect"),
    "texts without text": ({"train": {**LORA, "text_examples": 2}}, "train.text_examples=2 has no effect with train.t"),
    "after, published": (
        {"train": {**LORA, "after": 1.5}},
        "train.after=1.5 has no effect with train.objective=published; it has one where train.objective is held",
    ),
    "after, published by the preset": (
        {"train": {"keep": 2.0}},
        "train.keep=2.0 has no effect with train.objective=published (auto); it has one",
    ),
    "rate of another editor": (
        {"editor": "rome", "train": {"lr": 0.001}},
        "train.lr=0.001 has no effect with editor=rome; it has one where editor is lora",
    ),
    "seed of another editor": ({"editor": "rome", "train": {"seed": 3}}, "train.seed=3 has no effect with editor=rome"),
    "neighbors, none": (
        {"neighbors": {"kind": "none", "n": 5}},
        "neighbors.n=5 has no effect with neighbors.kind=none; it has one where neighbors.kind is not none",
    ),
    "index, random": (
        {"neighbors": {"index": "HNSW32"}},
        "neighbors.index=HNSW32 has no effect with neighbors.kind=random (auto); it has one where neighbors.kind is",
    ),
    "encoder, random": ({"neighbors": {"encoder": "minilm"}}, "neighbors.encoder=minilm has no effect with neighbor"),
    "paraphrases, none": ({"para": {"method": "none", "n": 3}}, "para.n=3 has no effect with para.method=none; it has"),
    "prefixes, fewshot": (
        {"para": {"method": "fewshot", "prefix_tokens": [3], "prefixes": "shared"}},
        "para.prefix_tokens=[3] has no effect with para.method=fewshot; it has one where para.method is prefix or both",
    ),
    "chat, both": ({"para": {"chat_tokens": 9}}, "para.chat_tokens=9 has no effect with para.method=both (auto); it"),
    "batches, mass": (
        {"protocol": {"batch_size": 4}},
        "protocol.batch_size=4 has no effect with protocol.kind=mass; it has one where protocol.kind is sequential",
    ),
    "checkpoints, single": (
        {"protocol": {"kind": "single", "checkpoints": [2]}},
        "protocol.checkpoints=[2] has no effect with protocol.kind=single; it has one where protocol.kind is sequent",
    ),
    "together, carried on": (
        {"protocol": {"kind": "single", "mode": "published", "together": 2}},
        "protocol.together=2 has no effect with protocol.mode=published; it has one where protocol.mode is corrected",
    ),
    "share, none": (
        {"regularize": {"keep": 20}},
        "regularize.keep=20 has no effect with regularize.method=none; it has one where regularize.method is rect or",
    ),
    "share, prune": ({"regularize": {"method": "prune", "keep": 20}}, "regularize.keep=20 has no effect with regula"),
    "method, no weights": ({"editor": "ike", "regularize": {"method": "rect"}}, "regularize.method=rect has no effe"),
    "maps, single": ({"protocol": {"kind": "single"}, "weights": {"maps": 2}}, "weights.maps=2 has no effect with p"),
    "greedy": ({"score": {"greedy": {"limit": 0, "tokens": 3}}}, "score.greedy.tokens=3 has no effect with score.gr"),
    "perplexity": ({"abilities": {"tasks": [], "text_tokens": 9}}, "abilities.text_tokens=9 has no effect with abil"),
    "harm at the end": (
        {"abilities": {"checkpoints": False}},
        "abilities.checkpoints=false has no effect with protocol.kind=mass; it has one where protocol.kind is sequen",
    ),
    "own facts of another dataset": ({"own": {"path": "x.csv"}}, "own.path=x.csv has no effect with dataset=world; "),
    "seed of a model that is there": ({"model": "smollm2-135m", "seed": 1}, "seed=1 has no effect with model=smollm2"),
}  # fmt: skip


@pytest.mark.parametrize("name", SILENT)
def test_a_key_without_effect_is_named_in_one_line(name: str, lines: Any) -> None:
    changes, expected = SILENT[name]
    key = expected.partition("=")[0]
    named = [line for line in lines(**changes) if line.startswith(f"{key}=")]
    assert len(named) == 1
    assert named[0].startswith(expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"train": {**LORA, "dpo": 0.2, "dpo_beta": 0.2, "dpo_pairs": "published"}},
        {"train": {**LORA, "text": 0.1, "text_examples": 2}},
        {"model": "smollm2-135m", "train": {"after": 1.5, "keep": 2.0}, "neighbors": {"encoder": "hashing"}},
        {"protocol": {"kind": "sequential", "batch_size": 4, "checkpoints": [4]}, "abilities": {"checkpoints": False}},
        {"protocol": {"kind": "single", "together": 2}, "weights": {"single_edits": 3}},
        {"protocol": {"mode": "published"}, "weights": {"sessions": 3}},
        {"neighbors": {"kind": "similar", "index": "HNSW32", "n": 3, "encoder": "minilm"}},
        {"regularize": {"method": "random", "keep": 20, "seed": 3}},
        {"editor": "rome", "statistics": {"n_samples": 5}, "train": {"lr": "auto", "micro_batch_tokens": 64}},
        {"dataset": "own", "own": {"path": "x.csv", "pool": "world"}},
        {"seed": 3},
    ],
)
def test_a_key_with_an_effect_is_not_named(changes: dict[str, Any], lines: Any) -> None:
    assert lines(**changes) == []


def test_a_stage_names_the_keys_of_its_own_sections(lines: Any) -> None:
    changes = {"train": {**LORA, "dpo_beta": 0.2}, "regularize": {"keep": 20}}
    assert [line.partition("=")[0] for line in lines("regularize", **changes)] == ["regularize.keep"]


def test_stage_facts_names_the_keys_of_all_sections(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    change_params(monkeypatch, train={"dpo_beta": 0.2}, protocol={"batch_size": 4})
    names = ("requests", "pool", "text", "rejects", "sources", "metrics")
    with caplog.at_level(logging.WARNING):
        run_main(facts, {name: tmp_path / name for name in names})
    assert {line.partition("=")[0] for line in caplog.messages} >= {"train.dpo_beta", "protocol.batch_size"}


def test_of_the_stages_that_dvc_runs_the_first_one_says_it_until_params_yaml_is_written_again(
    lines: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The fault: stage facts named a key of every section, and the section's own stage named it once more."""
    settings = tmp_path / "params.yaml"
    shutil.copyfile(params.PARAMS_FILE, settings)
    monkeypatch.setattr(root, "_LOGGED", tmp_path / ".scratch" / "logged.json")
    monkeypatch.setattr(params, "PARAMS_FILE", settings)
    monkeypatch.setenv("DVC_STAGE", "facts")
    changes = {"train": {**LORA, "dpo_beta": 0.2}, "regularize": {"keep": 20}}
    assert len(lines(**changes)) == 2
    assert lines("train", "regularize", **changes) == []
    changes["para"] = {"method": "none", "n": 3}
    assert [line.partition("=")[0] for line in lines("para", **changes)] == ["para.n"]
    later = time.time_ns() + 10**9
    os.utime(settings, ns=(later, later))
    assert len(lines("train", "regularize", **changes)) == 2


def test_what_editors_declare_is_what_their_code_reads() -> None:
    sources = {name: inspect.getsource(editors.editor(name)) for name in editors.names()}  # type: ignore[arg-type]
    changing = {name for name, source in sources.items() if "lib.edits.updates" in source}
    unchanging = {name for name, source in sources.items() if "updates={}" in source} - changing
    assert [name for name in sources if "lib.methods.training.plan" in sources[name]] == editors_where(_recipe)
    assert [name for name in sources if "train.seed" in sources[name]] == editors_where(_seeded)
    assert sorted(unchanging) == editors_where(_weightless)


def test_a_new_editor_is_named_by_what_it_declares(lines: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, declared in {"lora": "recipe=True", "nudge": "seeded=True", "push": "weightless=True"}.items():
        (tmp_path / f"{name}.py").write_text(f"NEEDS = Needs({declared})\n")
    monkeypatch.setattr(needs, "_EDITORS", tmp_path)
    monkeypatch.setattr(root, "_check_editor", lambda name: None)
    for editor, expected in {
        "nudge": ["train.lr=0.1 has no effect with editor=nudge; it has one where editor is lora"],
        "push": [
            "regularize.method=rect has no effect with editor=push; it has one where the editor changes weights (any "
            "but push)",
            "train.lr=0.1 has no effect with editor=push; it has one where editor is lora",
            "train.seed=3 has no effect with editor=push; it has one where editor is nudge",
        ],
    }.items():  # fmt: skip
        changes = {"train": {"lr": 0.1, "seed": 3}, "regularize": {"method": "rect"}}
        assert sorted(lines(editor=editor, **changes)) == expected


def _recipe(declared: Needs) -> bool:
    return declared.recipe


def _seeded(declared: Needs) -> bool:
    return declared.seeded


def _weightless(declared: Needs) -> bool:
    return declared.weightless
