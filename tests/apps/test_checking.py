"""A file of facts before anything runs: its rejects, and the old answers that the model itself gives."""

from dataclasses import replace
from pathlib import Path

import pytest

from apps.checking import AnswerNow, answers_now, checked_facts, reject_line, with_old_answers
from lib.core import run
from lib.core.errors import InputError
from tests.helpers.models import byte_tokenizer, tiny_model
from tests.helpers.small import REQUESTS

UNKNOWN = replace(REQUESTS[0], target_true=None)


def answer(text: str) -> AnswerNow:
    return AnswerNow(request_id=UNKNOWN.request_id, prompt=UNKNOWN.prompt, text=text, target_new=UNKNOWN.target_new)


def test_rows_that_cannot_be_used_are_named_with_line_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "facts.csv"
    path.write_text("prompt,target_new\nThe capital of France is,Rome\n,Oslo\n")
    checked = checked_facts(path)
    assert (len(checked.requests), checked.rows) == (1, 2)
    assert [reject_line(reject) for reject in checked.rejects] == [
        f"facts.csv, line 3, prompt: {checked.rejects[0].reason}"
    ]
    path.write_text("prompt,target_new\n,Oslo\n")
    with pytest.raises(InputError, match=r"no row can be used.\nfacts.csv, line 2, prompt"):
        checked_facts(path)


def test_edits_that_contradict_each_other_are_told_before_anything_runs(tmp_path: Path) -> None:
    """The fault: `errata fix` said that all rows can be used, and stage facts rejected two of them."""
    path = tmp_path / "facts.csv"
    path.write_text("prompt,target_new\nAda lives in,Rome\nAda lives in ,Oslo\nBen lives in,Bern\n")
    checked = checked_facts(path)
    assert [request.target_new for request in checked.requests] == ["Bern"]
    assert [(reject.line, reject.field) for reject in checked.rejects] == [(2, "target_new"), (3, "target_new")]


@pytest.mark.parametrize(
    ("text", "target_true"),
    [
        (" Paris. It is", "Paris"),
        (" the city of Paris, in France", "the city of Paris"),
        (" a company that makes and sells many things", "a company that makes and"),
        (" Rome, of course", None),
        ("", None),
    ],
)
def test_the_old_answer_is_what_the_model_says_up_to_its_end(text: str, target_true: str | None) -> None:
    (request,) = with_old_answers([UNKNOWN], [answer(text)])
    assert request.target_true == target_true


def test_an_old_answer_that_was_given_stays() -> None:
    assert with_old_answers([REQUESTS[0]], [answer(" Paris.")]) == [REQUESTS[0]]


def test_the_model_is_asked_greedily_and_how_many_are_asked_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(run, "_SECONDS_A_LINE", 0.0)
    caplog.set_level("INFO")
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    answers = answers_now(model, tokenizer, REQUESTS)
    ids = model.generate(**tokenizer(REQUESTS[1].prompt, return_tensors="pt"), max_new_tokens=12, do_sample=False)
    prompt_length = len(tokenizer(REQUESTS[1].prompt).input_ids)
    assert answers[1].text == tokenizer.decode(ids[0, prompt_length:], skip_special_tokens=True)
    assert f"asked: {len(REQUESTS)} of {len(REQUESTS)}, 0 s left" in caplog.messages
