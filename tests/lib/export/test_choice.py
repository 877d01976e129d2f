"""A merged edit is stored in a form in which it says what it said beside the weights, and both are printed."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from lib.core.files import read_json
from lib.core.records import Request
from lib.edits.edit import Edit
from lib.edits.updates import Dense
from lib.export.choice import export
from lib.export.merge import stochastically_rounded
from tests.lib.export.test_merge import base_folder

REQUESTS = [
    Request(
        request_id="a", dataset="own", subject=None, relation=None, prompt="The capital of X is", template=None,
        target_new="Rome", target_true="Oslo",
    )
]  # fmt: skip


def base_and_edit(folder: Path, dtype: torch.dtype) -> tuple[Path, Edit]:
    """A head of weights of 16, and an update of each that is less than half the spacing of bfloat16 there (0.125)."""
    base = base_folder(folder / "base", "llama", dtype)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
    model.lm_head.weight.data.fill_(16.0)
    model.save_pretrained(base)
    delta = torch.zeros(model.lm_head.weight.shape)
    delta[ord("R") + 3 :: 2] = 0.05
    delta[:, ::2] *= -1
    return base, Edit(updates={"lm_head": Dense(delta=delta)}, info={"editor": "ft"})


def export_to(folder: Path, stored: torch.dtype, dtype: str = "auto") -> tuple[str, list[str]]:
    base, edit = base_and_edit(folder, stored)
    lines: list[str] = []
    export(base, edit, folder / "to", dtype, REQUESTS, lines.append)
    written = read_json(folder / "to/errata.json")["weights"]
    weights = {parameter.dtype for parameter in AutoModelForCausalLM.from_pretrained(folder / "to").parameters()}
    assert weights == {getattr(torch, written["dtype"])}
    return f"{written['dtype']} {written['rounding']}", lines


def test_an_edit_that_bfloat16_undoes_is_not_stored_so(tmp_path: Path) -> None:
    form, lines = export_to(tmp_path, torch.bfloat16)
    assert form in ("float32 nearest", "bfloat16 stochastic")
    assert lines[1].startswith("  the edit beside the weights")
    assert lines[2].startswith("  merged, bfloat16 ")
    assert lines[2].endswith("off: not kept")
    assert lines[-1].endswith(" off")


def test_float32_stays_float32_and_is_exact(tmp_path: Path) -> None:
    form, lines = export_to(tmp_path, torch.float32)
    assert (form, len(lines)) == ("float32 nearest", 3)
    assert lines[-1].endswith("0.00 off")


@pytest.mark.parametrize("stored", [torch.bfloat16, torch.float32])
def test_a_dtype_that_is_asked_for_is_kept_with_a_word_where_it_loses_the_edit(
    stored: torch.dtype, tmp_path: Path
) -> None:
    form, lines = export_to(tmp_path, stored, "bfloat16")
    assert form.startswith("bfloat16")
    assert lines[-1].endswith(" off") or "--dtype float32 keeps the edit" in lines[-1]


def test_without_prompts_to_score_on_nothing_is_rounded(tmp_path: Path) -> None:
    base, edit = base_and_edit(tmp_path, torch.bfloat16)
    lines: list[str] = []
    form = export(base, edit, tmp_path / "to", "auto", [], lines.append)
    assert form.dtype == torch.float32
    assert lines == ["nothing to score the merged weights on; stored in float32"]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_stochastic_rounding_keeps_the_mean_and_the_seed_decides(dtype: torch.dtype) -> None:
    spacing = torch.finfo(dtype).eps
    for value in (1 + spacing / 4, -1 - spacing / 4, 1.0):
        values = torch.full((100_000,), value)
        rounded = stochastically_rounded(values, dtype, torch.Generator().manual_seed(0))
        assert abs(rounded.float().mean() - value) < spacing / 100
        assert len({*rounded.tolist()}) == (1 if value == 1.0 else 2)
        assert torch.equal(rounded, stochastically_rounded(values, dtype, torch.Generator().manual_seed(0)))
    assert torch.full((1,), 1 + spacing / 4).to(dtype) == 1.0
