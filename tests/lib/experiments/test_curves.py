"""A study: what runs left becomes points, pictures and a table."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from lib.experiments.curves import Outcome, most_changed, pictures, points, table
from lib.report.plots.svg import text_width
from tests.helpers.drawings import SVG, outside, parsed, texts


def ability(before: float, after: float, unit: str = "percent") -> dict[str, Any]:
    return {"metric": "acc", "unit": unit, "n": 5, "of": 9, "chance": 25, "truncated": 0, "before": before,
            "before_ci95": 1.0, "after": after, "after_ci95": 2.0}  # fmt: skip


def outcome(shift: float = 0.0, sequential: bool = True) -> Outcome:
    """78 edits; with a checkpoint after 10 where `sequential`. `shift` is added to every value after the edit."""
    kinds = {"score": 60.0, "efficacy": 90.0, "generalization": 80.0}
    lost = {"all so far": 1.0, "oldest": 2.0, "newest": 0.5}
    retention = [
        {"edits": edits, "group": group, "kind": kind, "mean": mean - lost[group] * edits / 10 + shift, "ci95": 3.0}
        for edits in (10, 78)
        for group in ("all so far", "oldest", "newest")
        for kind, mean in kinds.items()
    ]
    kl = [{"edits": 10, "group": "all so far", "kind": "locality", "mean": 0.125, "ci95": 0.01}]
    after: dict[str, Any] = {kind: {"success": {"mean": mean + shift, "ci95": 3.0}} for kind, mean in kinds.items()}
    after["locality"] = {"success": None, "kl": {"mean": 0.5, "ci95": 0.25}}
    evaluate = {"n": 78, "headline": "success", "after": after}
    tasks = {"recall": ability(98.0, 40.0 + shift), "perplexity": ability(2.0, 9.0 + shift, "perplexity")}
    sessions = {"10": {"recall": ability(98.0, 70.0 + shift)}} if sequential else {}
    columns = {"edits": [10, 78, 78], "path": ["all", "all", "w"], "manhattan": [1.0, 5.0, 5.0]}
    columns |= {"frobenius": [0.1, 0.5, 0.5], "share_above_0.077": [3.0, 30.0, 30.0], "largest": [0.2, 0.4, 0.4]}
    return Outcome(
        evaluate=evaluate,
        retention=retention if sequential else [],
        kl=kl if sequential else [],
        abilities={"tasks": tasks, "sessions": sessions},
        weights=pl.DataFrame(columns),
    )


def line(curves: pl.DataFrame, row: str, measure: str) -> list[tuple[int, float, float | None]]:
    of_row = curves.filter((pl.col("row") == row) & (pl.col("measure") == measure))
    return list(of_row.select("edits", "value", "spread").iter_rows())


def test_curves_are_of_all_edits_so_far_and_abilities_begin_at_the_unedited_model() -> None:
    curves = points({"a": [outcome()]})
    assert line(curves, "a", "efficacy") == [(10, 89.0, 3.0), (78, 82.2, 3.0)]
    assert line(curves, "a", "efficacy of the oldest") == [(10, 88.0, 3.0), (78, 74.4, 3.0)]
    assert line(curves, "a", "KL to the unedited model") == [(10, 0.125, 0.01)]
    assert line(curves, "a", "recall") == [(0, 98.0, 1.0), (10, 70.0, 2.0), (78, 40.0, 2.0)]
    assert line(curves, "a", "perplexity") == [(0, 2.0, 1.0), (78, 9.0, 2.0)]
    assert line(curves, "a", "Manhattan norm of ΔW") == [(10, 1.0, None), (78, 5.0, None)]
    assert line(curves, "a", "changed by over 7.7 %") == [(10, 3.0, None), (78, 30.0, None)]
    assert line(curves, "a", "locality") == []


def test_several_seeds_are_averaged_and_spread_by_their_standard_deviation() -> None:
    curves = points({"a": [outcome(-2.0), outcome(2.0)]})
    edits, mean, deviation = line(curves, "a", "recall")[1]
    assert (edits, mean) == (10, 70.0)
    assert deviation == pytest.approx(8**0.5)
    assert set(curves["seeds"]) == {2}


def test_a_run_that_was_not_scored_on_the_way_has_its_end_alone() -> None:
    curves = points({"a": [outcome(sequential=False)]})
    assert line(curves, "a", "efficacy") == [(78, 90.0, 3.0)]
    assert line(curves, "a", "KL to the unedited model") == [(78, 0.5, 0.25)]
    assert line(curves, "a", "recall") == [(0, 98.0, 1.0), (78, 40.0, 2.0)]


def test_the_table_has_the_unedited_model_and_every_row_after_its_last_edit() -> None:
    printed = table(points({"plain": [outcome()], "RECT 40": [outcome(5.0)]})).splitlines()
    assert printed[0].startswith(
        "| row | edits | seeds | score, % | efficacy, % | efficacy of the oldest, % | generalization, % | "
        "KL to the unedited model, nats | recall, % | perplexity |"
    )
    assert printed[2].startswith("| unedited | 0 | 1 |  |  |  |  |  | 98.0 ± 1.0 | 2.00 ± 1.0 |")
    assert printed[3].startswith(
        "| plain | 78 | 1 | 52.2 ± 3.0 | 82.2 ± 3.0 | 74.4 ± 3.0 | 72.2 ± 3.0 |  | 40.0 ± 2.0 | 9.00 ± 2.0 | 5.00 |"
    )
    assert printed[4].startswith("| RECT 40 | 78 | 1 | 57.2 ± 3.0 | 87.2 ± 3.0 |")
    assert len({row.count("|") for row in printed[:5]}) == 1
    assert printed[5:] == [
        "",
        "± is half of the 95 % interval over edits or examples, the standard deviation over seeds where there are "
        "several. Examples, all seeds together: recall 5, perplexity 5.",
    ]


def test_every_group_of_measures_is_a_picture_in_which_each_row_has_a_panel_for_each_measure() -> None:
    curves = points({"plain": [outcome()], "RECT 40": [outcome(5.0)]})
    drawings = pictures(curves)
    assert list(drawings) == ["editing", "abilities", "weights"]
    assert drawings == pictures(curves)
    assert [texts(drawing).count("RECT 40") for drawing in drawings.values()] == [
        curves.filter(pl.col("group") == group)["measure"].n_unique() for group in drawings
    ]
    assert [outside(drawing) for drawing in drawings.values()] == [[], [], []]
    assert list(pictures(curves.filter(pl.col("group") == "editing"))) == ["editing"]


def test_heat_maps_are_of_the_most_changed_matrix_at_every_checkpoint() -> None:
    small, large = np.full((2, 2), 0.1), np.full((2, 2), 3.0)
    maps = {1: {"a": large, "b": small}, 10: {"b": large}, 78: {"a": small, "b": large}}
    checkpoints, end = replace(outcome(), maps=maps), replace(outcome(), maps={78: {"a": large}})
    drawn_maps = most_changed({"ROME": [checkpoints, end], "one batch": [end]})
    assert {name: float(blocks[0, 0]) for name, blocks in drawn_maps.items()} == pytest.approx(
        {"ROME, 1 edit": 0.1, "ROME, 10 edits": 3.0, "ROME, 78 edits": 3.0}
    )


def many_tasks(after: float) -> dict[str, Any]:
    """What figures.json has of the tasks that a small model can and cannot do."""
    percents = {"pool_recall": 0.0, "world_four_choice": 41.0, "sentiment": 66.0, "nli": 51.0, "closed_qa": 55.0,
                "open_qa": 4.5, "summarization": 12.0}  # fmt: skip
    tasks = {name: ability(before, before * after) for name, before in percents.items()}
    return {"perplexity": ability(22.0, 22.0 / after, "perplexity"), **tasks}


def test_many_tasks_have_a_line_of_panels_each_and_one_that_is_0_throughout_has_none() -> None:
    run = replace(outcome(), abilities={"tasks": many_tasks(0.5), "sessions": {"10": many_tasks(0.9)}})
    curves = points({"GPT-2 XL, MEMIT, batch 100": [run], "RECT 40": [run]})
    drawing = pictures(curves)["abilities"]
    names = {task.replace("_", " ") for task in many_tasks(1.0)}
    assert [text for text in texts(drawing) if text.split(",")[0] in names] == [
        "perplexity", "world four choice, %", "sentiment, %", "nli, %", "closed qa, %", "open qa, %", "summarization, %"
    ]  # fmt: skip
    assert outside(drawing) == []
    assert {"10 %", "20 %", "50 %", "100 %"} <= set(texts(drawing)), "each measure has a scale of its own"
    assert 'class="line after thin"' in drawing.svg, "intervals are drawn"
    legend = table(curves).splitlines()[-1]
    assert legend.startswith("± is half of the 95 % interval over edits or examples, the standard deviation over seeds")
    assert legend.endswith("open qa 5, summarization 5. Not drawn, 0 throughout: pool recall.")


def test_the_name_of_a_row_has_room_over_its_panels() -> None:
    """The fault: `GPT-2 XL, MEMIT, batch 100` was written over the name of the panel beside it."""
    name = "GPT-2 XL, MEMIT, batch 100"
    drawing = pictures(points({name: [outcome()], "RECT 40": [outcome()]}))["editing"]
    lefts = {element.text: float(element.get("x", "0")) for element in parsed(drawing).iter(f"{SVG}text")}
    assert lefts["RECT 40"] - lefts[name] > text_width(name)
