"""Chunks of paraphrase candidates: made once whoever makes them, kept through a kill, found again by their content."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest

from lib.core import params
from lib.core.records import Request
from lib.generation.engine import Prompt, Sampling
from lib.paraphrases import chunks
from lib.paraphrases.chunks import Chunk, chunks_of, contents, make

PARA = params.section("para", params.Para).model_copy(update={"method": "fewshot"})
REQUESTS = [
    Request(
        request_id=str(number), dataset="own", subject="Ada Byron", relation=None,
        prompt=f"Ada Byron ({number}) was born in", template=None, target_new="Rome", target_true=None,
    )
    for number in range(11)
]  # fmt: skip


class Counting:
    """A generator that remembers what it was asked for, and answers with each prompt's seed."""

    def __init__(self, meet: Barrier | None = None) -> None:
        self.asked, self._meet = list[int](), meet

    def generate(self, shared_prefix: str, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        if self._meet is not None:
            self._meet.wait(timeout=60)
            self._meet = None
        self.asked += [one.seed for one in prompts]
        return [f" Ada Byron number {prompt.seed}\nrest" for prompt in prompts]

    def prefix_cache_hit_rate(self) -> None:
        return None


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 2)


def test_finished_chunks_are_not_generated_again(tmp_path: Path) -> None:
    todo, engine = chunks_of(REQUESTS, PARA, tmp_path), Counting()
    make(todo, engine, list)
    first, asked = contents(todo), len(engine.asked)
    make(todo, engine, list)
    assert (contents(todo), len(engine.asked)) == (first, asked)
    todo[3].part.unlink()
    make(todo, engine, list)
    assert contents(todo) == first
    assert len(engine.asked) == asked + 2 * PARA.samples


def test_two_that_work_at_once_make_every_chunk_once_and_both_have_all(tmp_path: Path) -> None:
    meet = Barrier(2)  # both have begun before either goes on
    engines = [Counting(meet), Counting(meet)]

    def work(engine: Counting) -> list[str]:
        todo = chunks_of(REQUESTS, PARA, tmp_path)
        make(todo, engine, list)
        return [one.text for one in contents(todo)]

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(work, engines))
    alone = Counting()
    make(chunks_of(REQUESTS, PARA, tmp_path / "alone"), alone, list)
    assert all(engine.asked for engine in engines)
    assert sorted(engines[0].asked + engines[1].asked) == sorted(alone.asked)
    assert found == [[one.text for one in contents(chunks_of(REQUESTS, PARA, tmp_path / "alone"))]] * 2


def test_a_longer_list_begins_with_what_is_there_and_another_prompt_is_made_anew(tmp_path: Path) -> None:
    make(chunks_of(REQUESTS[:6], PARA, tmp_path), Counting(), list)
    assert [one.made for one in chunks_of(REQUESTS, PARA, tmp_path)] == [True] * 3 + [False] * 3
    changed = [replace(REQUESTS[0], prompt="Ada Byron comes from"), *REQUESTS[1:6]]
    assert [one.made for one in chunks_of(changed, PARA, tmp_path)] == [False, True, True]


def test_nothing_is_to_be_made_without_a_method(tmp_path: Path) -> None:
    without: list[list[Chunk]] = [
        chunks_of(REQUESTS, PARA.model_copy(update=one), tmp_path) for one in ({"method": "none"}, {"n": 0})
    ]
    assert without == [[], []]
