"""Scores of the packed engine against those of the original evaluation code, before and after an edit."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from lib.core import params
from lib.core.records import Request, Score
from lib.datasets import counterfact
from lib.edits.edit import Edit
from lib.models.loading import check_split
from lib.runtime.distributed import Distributed
from lib.runtime.quiet import quiet_transformers
from lib.scoring.scorer import Scorer
from tests.helpers.datasets import dataset_preset
from tests.parity.reference import memit_updates

GOLDEN = Path(__file__).parent.parent / "golden"
KINDS = {"rewrite": "efficacy", "paraphrase": "generalization", "neighborhood": "locality"}


@pytest.fixture(scope="module")
def requests() -> list[Request]:
    facts = params.Facts(
        split="test",
        draw="first",
        limit=None,
        pool_limit=None,
        extras=[],
        text_limit=None,
        folder=".",
        max_reject_share=0,
        seed=0,
    )
    preset = dataset_preset("counterfact", "success")
    own = params.Own(path="", pool="none")
    return counterfact.load({"facts": GOLDEN / "inputs/counterfact_requests.json"}, facts, preset, own).requests


def scores(name: str, requests: list[Request], edited: bool, micro_batch_tokens: int = 512) -> Sequence[Score]:
    folder = GOLDEN / "models" / name
    with quiet_transformers():
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    check_split(model)
    edit = Edit(updates=memit_updates(name, model) if edited else {})
    settings = params.Scoring(
        micro_batch_tokens=micro_batch_tokens, rows=1, examples=0, greedy=params.Greedy(tokens=1, limit=0),
        generations=params.Generations(tokens=1, top_k=1, seed=0, limit=0),
        plain_texts=params.PlainTexts(limit=0, tokens=2, seed=0),
        judge=None,
    )  # fmt: skip
    scorer = Scorer(
        model=model,
        tokenizer=AutoTokenizer.from_pretrained(folder),
        requests=requests,
        settings=settings,
        distributed=Distributed(),
        progress=lambda batches, name: batches,
    )
    return (scorer.after(edit) if edited else scorer.before().tables).scores


@pytest.mark.parametrize("edited", [False, True])
@pytest.mark.parametrize("name", ["gpt2", "gptj", "llama"])
def test_every_nll_equals_the_original_evaluation(name: str, edited: bool, requests: list[Request]) -> None:
    golden = json.loads((GOLDEN / "counterfact_scores.json").read_text())[name]["post" if edited else "pre"]
    expected = {
        (case, KINDS[kind], index, role.removeprefix("target_")): value
        for case, record in golden.items()
        for kind in KINDS
        for index, pair in enumerate(record[f"{kind}_prompts_probs"])
        for role, value in pair.items()
    }
    rows = {(row.request_id, row.kind, row.prompt_index, row.role): row for row in scores(name, requests, edited)}
    assert rows.keys() == expected.keys()
    assert {key: row.nll / row.tokens for key, row in rows.items()} == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["gpt2", "gptj", "llama"])
def test_every_correct_flag_equals_the_original_evaluation(name: str, requests: list[Request]) -> None:
    golden = json.loads((GOLDEN / "counterfact_scores.json").read_text())[name]["pre"]
    for row in scores(name, requests, edited=False):
        kind = next(original for original, kind_of_row in KINDS.items() if kind_of_row == row.kind)
        if row.role == ("true" if row.kind == "locality" else "new"):
            flag = golden[row.request_id][f"{kind}_prompts_correct"][row.prompt_index]
            assert (row.correct == row.tokens) == flag, row


@pytest.mark.parametrize("micro_batch_tokens", [16, 100, 4096])
def test_the_rows_do_not_depend_on_the_batch_size(micro_batch_tokens: int, requests: list[Request]) -> None:
    in_one_batch, in_batches = scores("gpt2", requests, False), scores("gpt2", requests, False, micro_batch_tokens)
    assert [row.nll for row in in_one_batch] == pytest.approx([row.nll for row in in_batches], abs=1e-5)
    assert [(row.request_id, row.prompt, row.target, row.correct) for row in in_one_batch] == [
        (row.request_id, row.prompt, row.target, row.correct) for row in in_batches
    ]
