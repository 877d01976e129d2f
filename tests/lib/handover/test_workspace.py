"""The folder that the pipeline runs in: whole, apart from the repository, with the settings that were asked for."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lib.core.errors import InputError
from lib.core.params import ROOT, with_recipe_file
from lib.handover.bases import named_model
from lib.handover.processes import environment
from lib.handover.workspace import COPIED, check_settings, make_workspace
from tests.helpers.small import REQUESTS


def test_it_has_what_stages_read_and_the_settings(tmp_path: Path) -> None:
    named = named_model("smollm2-135m")
    make_workspace(tmp_path / "run", REQUESTS, named.name, named.values, ["train.lr=0.5", "own.pool=world"])
    run = tmp_path / "run"
    assert {path.name for path in run.iterdir()} == {*COPIED, ".dvc", ".gitignore", "facts.jsonl"}
    params = YAML(typ="safe").load(run / "params.yaml")
    assert (params["dataset"], params["model"]) == ("own", "smollm2-135m")
    assert params["own"] == {"path": "facts.jsonl", "pool": "world"}
    assert params["train"]["lr"] == 0.5
    assert "no_scm = true" in (run / ".dvc" / "config").read_text()
    preset = Path("configs/models/smollm2-135m.yaml")
    assert (run / preset).read_bytes() == (ROOT / preset).read_bytes()


def test_a_local_model_is_named_in_its_preset_and_made_again_it_keeps_outputs(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    named = named_model(str(tmp_path / "model"))
    make_workspace(tmp_path / "run", REQUESTS, named.name, named.values, [])
    (tmp_path / "run" / "results").mkdir()
    (tmp_path / "run" / "lib" / "stale.py").write_text("x = 1\n")
    make_workspace(tmp_path / "run", REQUESTS[:1], named.name, named.values, [])
    assert YAML(typ="safe").load(tmp_path / "run/configs/models/folder.yaml")["name"] == str(tmp_path / "model")
    assert (tmp_path / "run" / "results").is_dir()
    assert not (tmp_path / "run" / "lib" / "stale.py").exists()
    assert len((tmp_path / "run" / "facts.jsonl").read_text().splitlines()) == 1


def test_a_setting_of_a_recipe_reaches_the_preset_that_has_the_recipe_in_itself(tmp_path: Path) -> None:
    setting, preset = "configs/recipes/held.yaml:earlier=0", "configs/models/smollm2-135m.yaml"
    named = named_model("smollm2-135m")
    make_workspace(tmp_path / "named", REQUESTS, named.name, named.values, [setting])
    assert YAML(typ="safe").load(tmp_path / "named" / "configs/recipes/held.yaml")["earlier"] == 0
    of_edit = with_recipe_file(dict(named.values))
    make_workspace(tmp_path / "of_edit", REQUESTS, named.name, of_edit, [setting])
    assert YAML(typ="safe").load(tmp_path / "of_edit" / preset)["train"]["held"]["earlier"] == 0


@pytest.mark.parametrize("setting", ["train.learning=0.5", "configs/models/none.yaml:name=x", "../x.yaml:a=1"])
def test_a_setting_that_no_file_takes_is_refused(setting: str, tmp_path: Path) -> None:
    named = named_model("tiny")
    with pytest.raises(InputError, match="wanted"):
        make_workspace(tmp_path / "run", REQUESTS, named.name, named.values, [setting])
    with pytest.raises(InputError, match="wanted"):
        check_settings([setting])


def test_settings_that_the_files_take_are_no_error() -> None:
    check_settings(["train.lr=0.5", "own.path='a=b, [c]'", "configs/models/tiny.yaml:name=other"])
    with pytest.raises(InputError, match=r"-S train\.lr: wanted one value"):
        check_settings(["train.lr=0.5", "train.lr=0.6"])


def test_an_unknown_model_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match=r"Did you mean 'gpt2-xl'\?"):
        named_model("gpt2-x")


def test_python_of_the_stages_is_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", "/elsewhere")
    values = environment()
    assert "DVC_ROOT" not in values
    assert (Path(values["PATH"].split(":")[0]) / "python").exists()
