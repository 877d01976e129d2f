"""Chunks of continuations: drawn once whoever draws them, kept through a kill, found again by what decides on them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest

from lib.core import params
from lib.core.records import Request
from lib.core.seeds import seed
from lib.generation.engine import Prompt, Sampling
from lib.paraphrases import chunks
from lib.paraphrases.chunks import Chunk, chunks_of, complete, contents

PARA = params.section("para", params.Para).model_copy(update={"method": "fewshot"})
BOTH = PARA.model_copy(update={"method": "both", "n": 3, "prefix_tokens": [5, 10, 10]})
REQUESTS = [
    Request(
        request_id=str(number), dataset="own", subject="Ada Byron", relation=None,
        prompt=f"Ada Byron ({number}) was born in", template=None, target_new="Rome", target_true=None,
    )
    for number in range(11)
]  # fmt: skip


class RecordingGenerator:
    """Remembers the seeds that it was given, and answers with each prompt's seed."""

    def __init__(self, barrier: Barrier | None = None) -> None:
        self.seeds, self._barrier = list[int](), barrier

    def generate(self, shared_prefix: str, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        if self._barrier is not None:
            self._barrier.wait(timeout=60)
            self._barrier = None
        self.seeds += [prompt.seed for prompt in prompts]
        return [f" Ada Byron number {prompt.seed}\nrest" for prompt in prompts]

    def prefix_cache_hit_rate(self) -> None:
        return None


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 2)


def test_complete_chunks_are_not_drawn_again(tmp_path: Path) -> None:
    all_chunks, generator = chunks_of(REQUESTS, PARA, tmp_path), RecordingGenerator()
    complete(all_chunks, generator, list)
    first, count = contents(all_chunks), len(generator.seeds)
    complete(all_chunks, generator, list)
    assert (contents(all_chunks), len(generator.seeds)) == (first, count)
    all_chunks[3].file.unlink()
    complete(all_chunks, generator, list)
    assert contents(all_chunks) == first
    assert len(generator.seeds) == count + 2 * PARA.samples


def test_two_that_work_at_once_draw_every_chunk_once_and_each_has_all(tmp_path: Path) -> None:
    barrier = Barrier(2)  # each has begun before either goes on
    generators = [RecordingGenerator(barrier), RecordingGenerator(barrier)]

    def work(generator: RecordingGenerator) -> list[str]:
        all_chunks = chunks_of(REQUESTS, PARA, tmp_path)
        complete(all_chunks, generator, list)
        return [paraphrase.text for paraphrase in contents(all_chunks)]

    with ThreadPoolExecutor(2) as pool:
        texts = list(pool.map(work, generators))
    alone = RecordingGenerator()
    complete(chunks_of(REQUESTS, PARA, tmp_path / "alone"), alone, list)
    assert all(generator.seeds for generator in generators)
    assert sorted(generators[0].seeds + generators[1].seeds) == sorted(alone.seeds)
    expected = [paraphrase.text for paraphrase in contents(chunks_of(REQUESTS, PARA, tmp_path / "alone"))]
    assert texts == [expected, expected]


def test_a_longer_list_begins_with_what_is_there_and_another_prompt_is_drawn_anew(tmp_path: Path) -> None:
    complete(chunks_of(REQUESTS[:6], PARA, tmp_path), RecordingGenerator(), list)
    assert [chunk.complete for chunk in chunks_of(REQUESTS, PARA, tmp_path)] == [True] * 3 + [False] * 3
    changed = [replace(REQUESTS[0], prompt="Ada Byron comes from"), *REQUESTS[1:6]]
    assert [chunk.complete for chunk in chunks_of(changed, PARA, tmp_path)] == [False, True, True]


def test_candidates_are_few_shot_lines_then_prefixes_by_turn_and_carry_the_seeds_of_their_draws(tmp_path: Path) -> None:
    all_chunks = chunks_of(REQUESTS[:3], BOTH, tmp_path)
    complete(all_chunks, RecordingGenerator(), list)
    draws = [("fewshot", 0), ("fewshot", 1), *(("prefix", number) for number in (0, 3, 6, 1, 4, 2, 5))]
    expected = [
        (request.request_id, kind, seed(BOTH.seed, request.request_id, kind, number))
        for request in REQUESTS[:3]
        for kind, number in draws
    ]
    rows = contents(all_chunks)
    assert [(row.request_id, row.kind, row.seed) for row in rows] == expected
    assert rows[2].text == f"Ada Byron number {rows[2].seed} rest. {REQUESTS[0].prompt}"


@pytest.mark.parametrize(("earlier", "later"), [(1, 4), (4, 1)])
def test_the_candidates_of_n_do_not_depend_on_an_earlier_n(tmp_path: Path, earlier: int, later: int) -> None:
    def candidates(folder: Path, n: int) -> object:
        all_chunks = chunks_of(REQUESTS, BOTH.model_copy(update={"n": n}), folder)
        complete(all_chunks, RecordingGenerator(), list)
        return contents(all_chunks)

    candidates(tmp_path, earlier)
    assert candidates(tmp_path, later) == candidates(tmp_path / "fresh", later)


def test_nothing_is_to_be_drawn_without_a_method(tmp_path: Path) -> None:
    without: list[list[Chunk]] = [
        chunks_of(REQUESTS, PARA.model_copy(update=changes), tmp_path) for changes in ({"method": "none"}, {"n": 0})
    ]
    assert without == [[], []]


def test_shared_prefixes_are_drawn_once_a_chunk_and_are_those_of_every_request(tmp_path: Path) -> None:
    shared = BOTH.model_copy(update={"method": "prefix", "prefixes": "shared"})
    generator = RecordingGenerator()
    requested = chunks_of(REQUESTS, shared, tmp_path)
    complete(requested, generator, list)
    prefixes: dict[str, list[str]] = {}
    for paraphrase in contents(requested):
        prefixes.setdefault(paraphrase.request_id, []).append(paraphrase.text.partition(". ")[0])
    assert {*prefixes} == {request.request_id for request in REQUESTS}
    assert len({tuple(texts) for texts in prefixes.values()}) == 1
    assert len({*generator.seeds}) == shared.n + 4
    assert len(generator.seeds) == len(requested) * (shared.n + 4)
