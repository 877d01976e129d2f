"""The scorer: all tables at once, whatever the batches and processes; nothing wide is held longer than a batch."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lib.core.params import Generations, Greedy, PlainTexts, Scoring
from lib.core.records import LocalityPrompt, Request
from lib.edits.apply import applied
from lib.edits.contexts import Contexts
from lib.edits.edit import Edit
from lib.edits.notes import Notebook
from lib.edits.updates import Dense, LowRank
from lib.generation.reading import READ_TOKENS
from lib.models import likelihood
from lib.models.check import reading_of
from lib.models.hooks import hooked
from lib.models.likelihood import TargetScores
from lib.models.packing import Item
from lib.runtime.distributed import Distributed
from lib.scoring.prompts import TargetScore, scored_prompts
from lib.scoring.scorer import Scorer, scores_by_item
from lib.scoring.tables import ScoreTables
from tests.helpers.models import VOCABULARY, byte_tokenizer, tiny_model

SETTINGS = Scoring(
    micro_batch_tokens=128, rows=4, examples=0, greedy=Greedy(tokens=3, limit=None),
    generations=Generations(tokens=24, top_k=5, seed=0, limit=None),
    plain_texts=PlainTexts(limit=None, tokens=8, seed=0),
    judge=None,
)  # fmt: skip
MODULE = "model.layers.1.mlp.down_proj"


def requests(n: int = 5) -> list[Request]:
    cities = ("Rome", "Oslo", "Lima", "Kyoto", "Cairo", "Bonn", "Perth")[:n]
    return [
        Request(
            request_id=city, dataset="own", subject=city, relation=None, prompt=f"{city} is a part of", template=None,
            target_new="Gaul", target_true="Asia" if number % 2 else None,
            paraphrases=(f"The land of {city} is",),
            locality=tuple(LocalityPrompt(prompt=f"{town} is near", target="it") for town in ("Ur", city[:2] + "x")),
            generation_prompts=(f"{city}", f"In the city of {city}"),
        )
        for number, city in enumerate(cities)
    ]  # fmt: skip


def edit(low_rank: bool = True, **changed: Any) -> Edit:
    stream = torch.Generator().manual_seed(1)
    left, right = torch.randn(32, 2, generator=stream), torch.randn(2, 48, generator=stream) / 4
    update = LowRank(left=left, right=right)
    return Edit(updates={MODULE: update if low_rank else Dense(delta=update.dense())}, **changed)


def scorer(
    distributed: Distributed | None = None, scored_requests: Sequence[Request] | None = None, **changed: Any
) -> Scorer:
    return Scorer(
        model=tiny_model("llama"),
        tokenizer=byte_tokenizer(),
        requests=requests() if scored_requests is None else scored_requests,
        settings=SETTINGS.model_copy(update=changed),
        distributed=distributed or Distributed(),
        progress=lambda batches, name: batches,
    )


def plain(scored: ScoreTables) -> dict[str, list[dict[str, Any]]]:
    return {name: [asdict(row) for row in getattr(scored, name)] for name in ("scores", "generations", "divergences")}


def alike(tables: dict[str, Any], expected: dict[str, Any], rel: float | None = None) -> None:
    """Numbers to 1e-5, or to `rel` of themselves where that is more; all else to the letter."""
    for name, column in (("scores", "nll"), ("divergences", "kl")):
        values, references = ([row.pop(column) for row in side[name]] for side in (tables, expected))
        assert values == pytest.approx(references, abs=1e-5, rel=rel)
    assert json.loads(json.dumps(tables)) == json.loads(json.dumps(expected))


@pytest.mark.parametrize("micro_batch_tokens", [16, 4096])
@pytest.mark.parametrize("low_rank", [False, True])
def test_no_row_depends_on_the_size_of_a_batch(micro_batch_tokens: int, low_rank: bool) -> None:
    alike(
        plain(scorer(micro_batch_tokens=micro_batch_tokens).after(edit(low_rank))),
        plain(scorer().after(edit(low_rank))),
    )


def test_finding_the_notes_of_prompts_shows_how_far_it_is() -> None:
    """The fault: notes for 14,000 prompts were found in eight silent minutes."""
    notes = Notebook(texts={"Rome": "Rome is a part of Gaul"}, encoder="hashing", count=1, threshold=0.6)
    prompts_of: dict[str, int] = {}

    def progress(batches: Sequence[list[int]], name: str) -> Sequence[list[int]]:
        prompts_of[name] = sum(map(len, batches))
        return batches

    tables = replace(scorer(), progress=progress).after(Edit(updates={}, notes=notes), texts=False)
    assert prompts_of["prompts whose notes are found"] == 5 * (1 + 1 + 2)
    assert {row.prompt for row in tables.scores if row.request_id == "Rome" and row.kind == "efficacy"} == {
        "New Fact: Rome is a part of Gaul\nPrompt: Rome is a part of"
    }


@pytest.mark.slow
def test_two_processes_find_what_one_does(tmp_path: Path) -> None:
    output = tmp_path / "found.json"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run(
        [*command, "-m", "tests.helpers.score_two", str(output)], check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    for tables, expected in zip(
        json.loads(output.read_text()), (scorer().before().tables, scorer().after(edit(), session=5)), strict=True
    ):
        alike(tables, plain(expected))


def test_scores_texts_and_divergences_are_those_of_the_edited_model() -> None:
    scorer_of_all = scorer()
    after = scorer_of_all.after(edit())
    with applied(scorer_of_all.model, edit()):
        inside = scorer_of_all.before().tables
    assert [row.nll for row in after.scores] == [row.nll for row in inside.scores]
    assert [row.text for row in after.generations] == [row.text for row in inside.generations]
    assert {row.when for row in after.scores} == {row.when for row in after.generations} == {"after"}
    assert {row.request_id for row in after.divergences} == {request.request_id for request in requests()}
    assert min(row.kl for row in after.divergences) > 1e-3
    repeated = scorer_of_all.before().tables
    assert not repeated.divergences
    assert [row.nll for row in repeated.scores] != [row.nll for row in after.scores]
    assert all(row.kl == 0 for row in scorer_of_all.after(Edit(updates={})).divergences)


def test_an_edit_without_effect_has_the_rows_of_the_unedited_model() -> None:
    unedited = scorer().before()
    of_two = replace(scorer(), requests=requests()[:2])
    for texts in (True, False):
        measured = of_two.after(Edit(updates={}), 2, texts)
        taken = replace(of_two, unedited=lambda: unedited).after(Edit(updates={}), 2, texts)
        assert [replace(row, nll=0.0) for row in taken.scores] == [replace(row, nll=0.0) for row in measured.scores]
        assert [row.nll for row in taken.scores] == pytest.approx([row.nll for row in measured.scores], rel=1e-5)
        assert sorted(taken.generations, key=str) == sorted(measured.generations, key=str)
        assert taken.divergences == measured.divergences
    with_unedited = replace(scorer(), unedited=lambda: unedited).after(edit())
    assert with_unedited == scorer().after(edit())


def test_divergences_take_no_pass_of_their_own() -> None:
    """The fault: each locality prompt was read three times, once beside its answers and once more by each model."""
    unedited = scorer().before()
    works: list[tuple[str, int]] = []

    def progress(batches: Sequence[list[int]], name: str) -> Sequence[list[int]]:
        works.append((name, len(batches)))
        return batches

    counted = replace(scorer(), unedited=lambda: unedited, progress=progress)
    reading_of(counted.model)  # found out by passes, once a model
    passes: list[int] = []
    with hooked(counted.model.base_model, lambda *_: passes.append(1)):
        counted.after(edit(), texts=False)
    assert works == [("scores after", len(passes))]


def test_edits_made_alone_have_the_texts_of_the_edits_made_together() -> None:
    together = scorer().after(edit())
    alone = ScoreTables.joined(
        replace(scorer(scored_requests=[request]), first_index=number).after(edit())
        for number, request in enumerate(requests())
    )
    key = ("request_id", "kind", "prompt_index", "text")
    assert sorted(_columns(together.generations, key)) == sorted(_columns(alone.generations, key))
    assert [row.nll for row in together.scores] == pytest.approx([row.nll for row in alone.scores], abs=1e-5)
    assert [row.kl for row in together.divergences] == pytest.approx([row.kl for row in alone.divergences], abs=1e-5)


def test_texts_are_written_for_the_first_edits_of_the_run_only() -> None:
    limits: dict[str, Any] = {
        "greedy": SETTINGS.greedy.model_copy(update={"limit": 3}),
        "generations": SETTINGS.generations.model_copy(update={"limit": 1}),
    }
    limited, every = (of_some.before().tables.generations for of_some in (scorer(**limits), scorer()))
    assert {row.request_id for row in limited if row.decoding == "greedy"} == {"Rome", "Oslo", "Lima"}
    assert {row.request_id for row in limited if row.decoding == "sampled"} == {"Rome"}
    assert {*_columns(limited, ("request_id", "kind", "prompt_index", "text"))} <= {
        *_columns(every, ("request_id", "kind", "prompt_index", "text"))
    }
    later = replace(scorer(scored_requests=requests()[2:3], **limits), first_index=2).before().tables.generations
    assert {(row.request_id, row.decoding) for row in later} == {("Lima", "greedy")}
    assert not scorer().after(edit(), session=2, texts=False).generations


@pytest.mark.parametrize("micro_batch_tokens", [24, 200])
def test_no_tensor_as_wide_as_the_vocabulary_is_longer_than_a_batch(
    micro_batch_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_scorer = scorer(scored_requests=requests(7), micro_batch_tokens=micro_batch_tokens)
    longest = max(map(len, _prompts(small_scorer.requests)))
    reading_of(small_scorer.model)  # as a loaded model is checked
    seen = _Widest()  # type: ignore[no-untyped-call]
    with seen:
        small_scorer.before()
        small_scorer.after(edit(low_rank=False))
    assert 4 <= seen.rows <= max(micro_batch_tokens, longest + 10)
    monkeypatch.setattr(likelihood, "HEAD_CHUNK", 3)
    with seen:
        small_scorer.before()
    assert seen.rows <= max(SETTINGS.rows, READ_TOKENS["cpu"] // 8)  # prompts of a pass, none of which is shorter


def test_a_row_is_a_function_of_its_own_targets_scores() -> None:
    prompt, *_ = scored_prompts(requests(2)[1:], Contexts())
    assert [role for role, _ in prompt.targets] == ["new", "true"]
    new = TargetScore(nll=1.5, tokens=2, correct=1, argmax=(7, 8))
    true = TargetScore(nll=0.5, tokens=3, correct=3, argmax=(1, 2, 3))
    rows = prompt.rows([new, true], "after", 4)
    assert [(row.role, row.nll, row.tokens, row.correct, row.argmax) for row in rows] == [
        ("new", 1.5, 2, 1, (7, 8)), ("true", 0.5, 3, 3, (1, 2, 3))
    ]  # fmt: skip
    assert prompt.rows([new, true], "after", 4) == rows
    with pytest.raises(ValueError, match="shorter"):
        prompt.rows([new], "after", 4)


def test_the_scores_of_packed_items_are_parted_by_item_whatever_their_numbers_of_targets() -> None:
    items = [Item(prompt=(1,), targets=((2,), (3, 4))), Item(prompt=(1,), targets=((5, 6, 7),))]
    packed = TargetScores(
        nll=torch.tensor([1.0, 2.0, 3.0]), tokens=torch.tensor([1, 2, 3]), correct=torch.tensor([1, 0, 2]),
        argmax=torch.tensor([2, 9, 9, 5, 6, 9]), states=torch.zeros(3, 4),
    )  # fmt: skip
    assert list(scores_by_item(items, packed)) == [
        [
            TargetScore(nll=1.0, tokens=1, correct=1, argmax=(2,)),
            TargetScore(nll=2.0, tokens=2, correct=0, argmax=(9, 9)),
        ],
        [TargetScore(nll=3.0, tokens=3, correct=2, argmax=(5, 6, 9))],
    ]


class _Widest(torch.utils._python_dispatch.TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Watches every operation for the longest tensor whose last axis is the vocabulary."""

    rows = 0

    def __enter__(self) -> "_Widest":
        self.rows = 0
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in _tensors(result):
            if tensor.dim() and tensor.shape[-1] == VOCABULARY:
                self.rows = max(self.rows, tensor.numel() // VOCABULARY)
        return result


def _tensors(result: Any) -> Iterator[torch.Tensor]:
    if isinstance(result, torch.Tensor):
        yield result
    elif isinstance(result, list | tuple):
        for row in result:
            yield from _tensors(row)


def _columns(rows: Sequence[Any], names: Sequence[str]) -> list[tuple[Any, ...]]:
    return [tuple(getattr(row, name) for name in names) for row in rows]


def _prompts(scored_requests: Sequence[Request]) -> list[str]:
    return [prompt for request in scored_requests for prompt in request.evaluation_prompts]
