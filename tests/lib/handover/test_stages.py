"""What `dvc repro` prints becomes the states of its stages."""

import pytest

from lib.handover.stages import PipelineState, in_words

NAMES = ("facts", "base", "edit", "score")


def test_lines_of_dvc_become_states_with_share_and_time_left() -> None:
    state = PipelineState.of(NAMES, {"facts": 10.0, "base": 5.0, "edit": 100.0, "score": 50.0})
    assert state.left(0.0) == "3 min"
    state.read("Stage 'facts' is cached - skipping run, checking out outputs", 1.0)
    state.read("Running stage 'base':", 1.0)
    state.read("> python -m stages.base --model models/base", 1.0)
    state.read("SmolLM2: terms of use", 2.0)
    state.read("Running stage 'edit':", 6.0)
    state.read("edit: editing: 0 of 120, 15 s so far", 21.0)
    assert (state.stages["edit"].work, state.stages["edit"].work_left(21.0)) == ("edit: editing", None)
    state.read("edit: editing: 30 of 120, 63 s left", 26.0)
    assert [stage.state for stage in state.stages.values()] == ["unchanged", "done", "running", "waiting"]
    assert state.stages["base"].seconds(99.0) == 5.0
    edit = state.stages["edit"]
    assert (edit.work, edit.share) == ("edit: editing", 0.25)
    assert (edit.work_left(26.0), edit.left(26.0), state.left(26.0)) == (60.0, 80.0, "2 min")
    assert state.messages == ["SmolLM2: terms of use"]
    state.finish(True, 90.0)
    assert edit.state == "done"


def test_a_stage_without_an_estimate_is_judged_by_its_share_and_is_unknown_before() -> None:
    state = PipelineState.of(NAMES, {})
    state.read("Running stage 'edit':", 10.0)
    assert state.left(20.0) == "?"
    state.read("edit: editing: 1,000 of 4,000", 20.0)
    assert state.stages["edit"].left(20.0) == pytest.approx(30.0)


def test_the_message_of_a_stage_that_fails_is_kept_whole() -> None:
    state = PipelineState.of(NAMES, {})
    state.read("Running stage 'facts':", 0.0)
    for line in ("error: facts.csv: 2 of 3 rows rejected", "  2 x prompt: wanted a text", "",
                 "ERROR: failed to reproduce 'facts': failed to run: python -m stages.facts"):  # fmt: skip
        state.read(line, 1.0)
    assert state.stages["facts"].state == "failed"
    assert state.errors == ["error: facts.csv: 2 of 3 rows rejected", "  2 x prompt: wanted a text"]


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, "?"), (8.4, "8 s"), (240.0, "4 min"), (7500.0, "2 h 5 min"), (5460.0, "1 h 31 min")]
)
def test_lengths_of_time_are_said_as_people_say_them(seconds: float | None, words: str) -> None:
    assert in_words(seconds) == words


def test_a_stage_that_takes_longer_than_estimated_is_judged_by_its_share_alone() -> None:
    state = PipelineState.of(NAMES, {"facts": 1.0, "base": 1.0, "edit": 10.0, "score": 5.0})
    state.read("Running stage 'edit':", 0.0)
    edit = state.stages["edit"]
    assert (edit.is_late(9.0), edit.left(9.0)) == (False, 1.0)
    assert (edit.is_late(30.0), edit.left(30.0), state.left(30.0)) == (True, None, "more than 7 s")
    (changed,) = state.read("edit: editing: 3 of 4", 30.0)
    assert changed is edit
    assert edit.left(30.0) == pytest.approx(10.0)


def test_the_end_of_a_first_piece_of_work_is_not_taken_for_the_end_of_the_stage() -> None:
    state = PipelineState.of(NAMES, {"facts": 1.0, "base": 1.0, "edit": 100.0, "score": 5.0})
    state.read("Running stage 'edit':", 0.0)
    edit = state.stages["edit"]
    state.read("edit: chat answers: 30 of 30", 20.0)
    assert (edit.work_left(20.0), edit.left(20.0)) == (None, 80.0)
    state.read("edit: editing: 10 of 40", 30.0)
    assert (edit.work_left(30.0), edit.left(30.0)) == (30.0, 70.0)
    state.read("edit: editing: 20 of 40", 120.0)
    assert (edit.work_left(120.0), edit.left(120.0)) == (100.0, 100.0)


def test_stages_of_two_streams_run_side_by_side_and_the_longer_is_what_is_left() -> None:
    state = PipelineState.of(NAMES, {"facts": 10.0, "base": 30.0, "edit": 40.0, "score": 5.0})
    state.read("Running stage 'edit':", 0.0)
    state.read("Running stage 'base':", 0.0, "side")
    state.read("base: texts: 10 of 40", 10.0, "side")
    assert [stage.name for stage in state.running()] == ["base", "edit"]
    assert (state.stages["base"].work, state.stages["edit"].work) == ("base: texts", "")
    assert state.left(10.0) == "45 s"
    assert state.finish(True, 20.0, "side") == [state.stages["base"]]
    assert [stage.state for stage in state.stages.values()] == ["waiting", "done", "running", "waiting"]
    state.read("Running stage 'score':", 50.0)
    assert [stage.state for stage in state.stages.values()] == ["waiting", "done", "done", "running"]


def test_a_stage_that_ran_stays_done_and_one_that_did_not_is_named_as_unchanged_once() -> None:
    state = PipelineState.of(NAMES, {})
    state.read("Running stage 'base':", 0.0)
    state.finish(True, 5.0)
    assert state.read("Stage 'base' didn't change, skipping", 6.0) == []
    assert state.stages["base"].state == "done"
    assert state.read("Stage 'facts' didn't change, skipping", 6.0) == [state.stages["facts"]]
    assert state.read("Stage 'facts' didn't change, skipping", 7.0) == []


def test_a_stage_that_fails_in_a_side_stream_waits_anew_and_its_error_is_not_the_runs() -> None:
    state = PipelineState.of(NAMES, {"base": 30.0})
    state.read("Running stage 'edit':", 0.0)
    state.read("Running stage 'base':", 0.0, "side")
    for line in ("error: no memory", "ERROR: failed to reproduce 'base': failed to run: python -m stages.base"):
        changed = state.read(line, 8.0, "side")
    base = state.stages["base"]
    assert changed == [base]
    assert (base.state, base.estimate, base.seconds(9.0)) == ("waiting", 30.0, 0.0)
    assert (state.errors, state.messages) == ([], [])
    assert state.stages["edit"].state == "running"
    assert state.finish(False, 9.0, "side") == []
    state.read("Running stage 'base':", 10.0, "side")
    assert state.finish(False, 11.0, "side") == [base]
    assert base.state == "waiting"
