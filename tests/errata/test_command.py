"""`errata`: every promised name, its help with an example, its exit codes, and JSON for programs."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from apps import fix
from errata.command import NAMES, app
from errata.frame import NO
from lib.core import run
from lib.core.errors import InputError
from lib.core.params import ROOT, Model, preset
from lib.core.records import TextNll
from lib.core.tables import read, write
from lib.handover.bundle import Bundle
from lib.handover.judging import ScoreFiles
from lib.handover.recent import bundles, latest
from tests.helpers.bundles import small_bundle
from tests.helpers.small import REQUESTS


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")


def called(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_help_with_an_example(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    printed = called(name, "--help") + capfd.readouterr().out
    assert f"Example: errata {name}" in re.sub(r"\x1b\[[\d;]*m", "", printed)


def test_help_of_all_names_them_in_their_order_and_says_the_exit_codes_without_loading_torch() -> None:
    code = "import sys, errata.command; print('torch' in sys.modules, 'transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
    printed = called("--help")
    assert [printed.index(f"│ {name} ") for name in NAMES] == sorted(printed.index(f"│ {name} ") for name in NAMES)
    assert "3 done but the answer is no" in " ".join(printed.split())


def test_a_wrong_command_line_is_2_and_what_cannot_be_done_is_1_with_a_message(tmp_path: Path) -> None:
    called("fix", "facts.csv", code=2)
    assert "no edits of yours on this machine yet" in called("runs")
    assert "nowhere.csv: wanted a file of facts" in called_error("fix", "nowhere.csv", "--model", "tiny")
    wrong = called_error("fix", "nowhere.csv", "--model", "tiny", "-S", "train.epoch=3")
    assert "found train.epoch=3. Did you mean 'train.epochs'?" in wrong
    called("nothing", code=2)
    assert "wanted an edit; found none" in called("list", code=1) + str(called_error("list"))
    facts = tmp_path / "facts.csv"
    facts.write_text("prompt,target_new\n,Rome\n")
    assert "no row can be used" in called_error("fix", str(facts), "--model", "smollm2-135m")
    facts.write_text("prompt,target_new\nThe capital of France is,Rome\n")
    assert "Did you mean 'smollm2-135m'?" in called_error("fix", str(facts), "--model", "smollm2-135n")


def printed_json(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, (result.output, result.exception)
    values: dict[str, Any] = json.loads(result.stdout)
    return values


def called_error(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 1
    return str(result.exception)


def test_one_by_one_is_passed_on_to_the_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[bool] = []

    def repro(*_: Any, one_by_one: bool, **__: Any) -> None:
        passed.append(one_by_one)
        raise InputError("far enough")

    monkeypatch.setattr(fix, "repro", repro)
    facts = tmp_path / "facts.csv"
    facts.write_text("prompt,target_new\nThe capital of France is,Rome\n")
    edit = str(small_bundle(tmp_path / "edit", REQUESTS[:2]).folder)
    for arguments in (["fix", str(facts), "--model", "tiny"], ["remove", "e0", "--edit", edit]):
        assert called_error(*arguments) == called_error(*arguments, "--one-by-one") == "error: far enough"
    assert passed == [False, True] * 2


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    facts = tmp_path / "facts.csv"
    facts.write_text("prompt,target_new\nThe capital of France is,Rome\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work.txt").write_text("mine")
    message = called_error("fix", str(facts), "--model", "tiny", "--to", str(tmp_path / "mine"))
    assert "found work.txt" in message
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["work.txt"]


def test_without_a_folder_the_latest_edit_is_meant_and_runs_lists_all(tmp_path: Path) -> None:
    first, second = small_bundle(tmp_path / "first", REQUESTS[:2]), small_bundle(tmp_path / "second", REQUESTS[2:])
    assert latest() == second
    rows = printed_json("list")["facts"]
    assert [row["id"] for row in rows] == ["e2", "e3"]
    assert {row["took"] for row in rows} <= {True, False}
    edits = printed_json("runs")["edits"]
    assert [(row["folder"], row["facts"]) for row in edits] == [(str(first.folder), 2), (str(second.folder), 2)]
    assert "e2" in called("list")


def test_verify_says_equal_here_and_no_of_an_edit_that_was_tampered_with(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "edit", REQUESTS[:2])
    result = printed_json("verify", str(bundle.folder))
    assert result["equal"]
    assert result["different_texts"] == []
    assert result["texts"] > 4
    stronger = small_bundle(tmp_path / "other", REQUESTS[:2], strength=2.0)
    (stronger.folder / "adapter_model.safetensors").replace(bundle.folder / "adapter_model.safetensors")
    assert "NOT equal" in called("verify", str(bundle.folder), code=NO)


def test_verify_says_of_every_piece_of_its_work_how_far_it_is_and_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = small_bundle(tmp_path / "edit", REQUESTS[:1])
    monkeypatch.setattr(run, "_SECONDS_A_LINE", 0.0)
    caplog.set_level("INFO")
    called("verify", str(bundle.folder))
    ends = [message for message in caplog.messages if message.endswith(", 0 s left")]
    work = {message.split(": ")[1] for message in ends}
    pieces = {f"{piece} {when}" for piece in ("scores", "greedy texts", "held-out texts")
              for when in ("before", "after")}  # fmt: skip
    assert work == pieces
    assert "verify: held-out texts after: 2 of 2, 0 s left" in ends


def test_verify_compares_the_likelihoods_of_held_out_text_too(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "edit", REQUESTS[:1])
    table = ScoreFiles(folder=bundle.scores).text_nll
    rows = read(table, TextNll)
    write(table, TextNll, [replace(rows[0], nll=rows[0].nll + 1.0), *rows[1:]])
    assert "likelihoods differ by at most 0.03" in called("verify", str(bundle.folder), code=NO)


def test_undo_goes_back_and_says_where_there_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "edit", REQUESTS[:1])
    before = (bundle.folder / "adapter_model.safetensors").read_bytes()
    bundle.set_aside()
    assert not bundle.exists()
    small_bundle(bundle.folder, REQUESTS[1:2], strength=2.0)
    assert (bundle.folder / "adapter_model.safetensors").read_bytes() != before
    assert printed_json("list")["facts"][0]["id"] == "e1"
    called("undo", str(bundle.folder))
    assert (bundle.folder / "adapter_model.safetensors").read_bytes() == before
    assert printed_json("list", str(bundle.folder))["facts"][0]["id"] == "e0"
    assert "this is the first" in called_error("undo", str(bundle.folder))


def test_two_edits_merge_into_their_sum_with_all_facts_scored(tmp_path: Path) -> None:
    first = small_bundle(tmp_path / "first", REQUESTS[:2])
    second = small_bundle(tmp_path / "second", REQUESTS[2:], strength=0.7)
    merged = tmp_path / "together"
    result = CliRunner().invoke(app, ["merge", str(first.folder), str(second.folder), "--to", str(merged)])
    assert result.exit_code in (0, NO), result.exception
    info = Bundle(folder=merged).info()
    assert info.sessions == [["e0", "e1"], ["e2", "e3"]]
    assert info.headline["n"] == 4
    assert (merged / "adapter_config.json").is_file()
    called("verify", str(merged))
    assert latest() == Bundle(folder=merged)
    overlapping = small_bundle(tmp_path / "overlapping", [REQUESTS[0], replace(REQUESTS[3], request_id="e0.2")])
    paths = [str(first.folder), str(overlapping.folder), "--to", str(tmp_path / "twice")]
    result = CliRunner().invoke(app, ["merge", *paths])
    assert result.exit_code in (0, NO), result.exception
    assert "both have e0: scored once" in " ".join(result.output.split())
    info = Bundle(folder=tmp_path / "twice").info()
    assert (info.sessions, info.headline["n"]) == ([["e0", "e1"], ["e0", "e0.2"]], 3)
    contradicting = [replace(REQUESTS[0], target_new="Bonn")]
    third = small_bundle(tmp_path / "third", contradicting)
    to = str(tmp_path / "never")
    assert "wanted two edits" in called_error("merge", str(first.folder), str(first.folder), "--to", to)
    assert "one edit makes it 'Rome', the other 'Bonn'" in called_error(
        "merge", str(first.folder), str(third.folder), "--to", to
    )


def test_a_removed_folder_is_forgotten(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "edit", REQUESTS[:1])
    bundle.folder.rename(tmp_path / "elsewhere")
    assert bundles() == []


def test_the_card_has_front_matter_and_the_texts(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "edit", REQUESTS[:2])
    text = called("card", str(bundle.folder))
    assert text.strip() == bundle.card.read_text().strip()
    front, body = text.split("---\n")[1:3]
    assert 'library_name: "peft"' in front
    assert "2 facts corrected in tiny" in body
    assert "Ada lives in" in body
    (lines,) = re.findall(r"```python\n(.*?)```", body, re.DOTALL)
    names: dict[str, Any] = {}
    exec(lines.replace("FOLDER", str(bundle.folder)), names)
    assert type(names["model"]).__name__ == "PeftModelForCausalLM"


def test_the_card_of_a_model_out_of_a_package_says_who_converts_it(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "edit", REQUESTS[:1])
    values = preset("models", "smollm2-135m", Model).model_dump()
    params = {**bundle.info().params, "model": "smollm2-135m"}
    bundle.write_info(bundle.info().model_copy(update={"model": values, "params": params}))
    body = called("card", str(bundle.folder))
    assert 'model, tokenizer = load("smollm2-135m")' in body
    assert "from errata import load\nfrom peft import PeftModel\n" in body
    assert "AutoModelForCausalLM" not in body


def test_a_sum_has_no_page_and_export_wants_a_finished_edit(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "edit", REQUESTS[:1])
    assert "writes no page" in called_error("report", str(bundle.folder))
    assert "wanted a folder that `errata fix` has written" in called_error("export", str(tmp_path), "--to", "x")


def test_beside_another_folder_called_lib_the_repository_is_meant(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    code = f"import sys; sys.path.append({str(ROOT)!r}); import errata, lib; print(lib.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(ROOT / "lib" / "__init__.py")
    (tmp_path / "lib" / "__init__.py").write_text("")
    wrong = subprocess.run([sys.executable, "-c", f"import lib; {code}"], cwd=tmp_path, capture_output=True, text=True)
    assert "Import errata before it" in wrong.stderr


def test_export_writes_the_edited_model_and_scores_the_facts_under_it(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "edit", REQUESTS[:2])
    printed = called("export", str(bundle.folder), "--to", str(tmp_path / "plain"), "--dtype", "float32")
    assert (tmp_path / "plain" / "model.safetensors").is_file()
    assert "over 2 edited prompts" in printed
    assert "over 2 edited prompts" in called("export", "--to", str(tmp_path / "latest"), "--dtype", "float32")
    assert (tmp_path / "latest" / "model.safetensors").read_bytes() == (
        tmp_path / "plain/model.safetensors"
    ).read_bytes()
