"""`from errata import fix, score`: facts corrected in a model in memory, without DVC."""

import doctest
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import HfApi
from peft import PeftModel
from ruamel.yaml import YAML

import errata
from errata import library
from lib.core import params
from lib.core.errors import InputError
from lib.edits import edit as edits
from lib.edits.notes import Notebook
from tests.helpers.models import TARGETS, byte_tokenizer, tiny_model
from tests.lib.edits.test_apply import snapshot, unchanged

FACTS: list[dict[str, Any]] = [
    {"prompt": "Ada lives in", "target_new": "Rome.", "subject": "Ada", "paraphrases": ["The home of Ada is"]},
    {"prompt": "Ben lives in", "target_new": "Oslo.", "subject": "Ben"},
]


@pytest.fixture
def preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A preset that trains a random model in a second."""
    values = YAML(typ="safe").load(params.PRESETS / "models" / "folder.yaml")
    values |= {"lora": {"r": 4, "alpha": 8, "targets": TARGETS["llama"]}, "dtype": "float32"}
    values["train"] |= {"epochs": 200, "lr": 0.01, "least_steps": 1, "held": None}
    checked = params.check(values, params.Model, "preset")
    monkeypatch.setattr(
        params,
        "preset",
        lambda group, name, kind, of=params.preset: checked if name == "small" else of(group, name, kind),
    )
    return "small"


def test_facts_are_corrected_scored_saved_loaded_and_taken_away(preset: str, tmp_path: Path) -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    before = snapshot(model)
    edit = errata.fix(model, tokenizer, FACTS, preset=preset)
    assert unchanged(model, before)
    headline = errata.score(model, tokenizer, FACTS, edit)
    assert headline["exact_match"] == 100.0
    assert headline["before"]["exact_match"] == 0.0
    edit.save(tmp_path / "edit")
    ids = tokenizer("Ada lives in", return_tensors="pt")
    loaded = errata.Edit.load(tmp_path / "edit")
    with torch.inference_mode(), edit.applied(model), loaded.applied(tiny_model("llama")) as second_model:
        torch.testing.assert_close(model(**ids).logits, second_model(**ids).logits)
        edited = model(**ids).logits
    with torch.inference_mode():
        peft = PeftModel.from_pretrained(tiny_model("llama"), tmp_path / "edit")
        torch.testing.assert_close(peft(**ids).logits, edited, atol=1e-4, rtol=1e-4)
        assert not torch.allclose(model(**ids).logits, edited)


def test_a_model_is_loaded_by_name(tmp_path: Path) -> None:
    tiny_model("llama").save_pretrained(tmp_path / "model")
    byte_tokenizer().save_pretrained(tmp_path / "model")
    model, tokenizer = errata.load(str(tmp_path / "model"))
    assert model.config.model_type == "llama"
    assert tokenizer("Ada").input_ids == byte_tokenizer()("Ada").input_ids
    with pytest.raises(InputError, match=r"wanted one of .*smollm2-135m.*found 'smollm3'"):
        errata.load("smollm3")


def test_an_edit_is_pushed_without_the_folder_it_was_made_in(
    preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads: list[dict[str, Any]] = []

    def upload(hub: HfApi, **arguments: Any) -> None:
        names = sorted(path.name for path in Path(arguments["folder_path"]).iterdir())
        uploads.append({"repository": arguments["repo_id"], "names": names, "token": hub.token})

    monkeypatch.setattr(HfApi, "create_repo", lambda *_, **__: None)
    monkeypatch.setattr(HfApi, "upload_folder", upload)
    edit = errata.fix(tiny_model("llama"), byte_tokenizer(), FACTS, preset=preset)
    assert edit.push("ada/homes", token="t").endswith("/ada/homes")
    names = ["adapter_config.json", "adapter_model.safetensors", "edit.json"]
    assert uploads == [{"repository": "ada/homes", "names": names, "token": "t"}]
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"a b: wanted a repository of the hub that you may write to"):
        edit.push("a b")


def test_the_examples_of_the_docstrings_run(preset: str) -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    edit = errata.fix(model, tokenizer, FACTS, preset=preset)
    names = {"model": model, "tokenizer": tokenizer, "preset": preset, "facts": FACTS, "edit": edit}
    runner = doctest.DocTestRunner()
    for function in (library.fix, library.score):
        for example in doctest.DocTestFinder().find(function, globs=names):
            runner.run(example)
    assert runner.summarize(verbose=False).failed == 0
    assert runner.tries > 4


def test_a_wrong_fact_or_name_is_an_error_that_says_where(preset: str) -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    with pytest.raises(InputError, match="fact 1: prompt"):
        errata.fix(model, tokenizer, [{"prompt": "", "target_new": "Rome"}], preset=preset)
    contradiction = [FACTS[0], {**FACTS[0], "target_new": "Oslo."}]
    with pytest.raises(InputError, match="fact 1: target_new: wanted one target for a prompt"):
        errata.fix(model, tokenizer, contradiction, preset=preset)
    with pytest.raises(InputError, match="memit works on what the pipeline prepares"):
        errata.fix(model, tokenizer, FACTS, preset=preset, editor_name="memit")
    with pytest.raises(AttributeError, match="it has Edit, fix, load, score"):
        errata.fixed  # noqa: B018


def test_an_edit_that_is_text_before_prompts_is_not_applied_without_a_word() -> None:
    notes = Notebook(texts={"a": "Ada lives in Rome"}, encoder="hashing", count=1, threshold=0.5)
    edit = errata.Edit(updates=edits.Edit(updates={}, notes=notes, info={"editor": "rag"}))
    with pytest.raises(InputError, match="edit by rag is text before prompts"):
        edit.applied(tiny_model("llama"))
