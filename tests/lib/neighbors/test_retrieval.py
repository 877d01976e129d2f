"""A request's neighbors do not depend on other requests; similar ones are those of a brute-force search."""

from collections.abc import Sequence

import numpy as np
import pytest

from lib.core import tables
from lib.core.records import Fact, Request, UneditedFact
from lib.neighbors import search
from lib.neighbors.encoders import HashingEncoder, Vectors, encoder
from lib.neighbors.retrieval import Retrieved, figures, random_neighbors, similar_neighbors
from tests.helpers.pools import at_random, pool_of, similar


class TableEncoder:
    """Encodes each text as the vector that a table has for it."""

    def __init__(self, vectors: dict[str, Sequence[float]]) -> None:
        self._vectors = vectors

    def encode(self, texts: Sequence[str]) -> Vectors:
        return np.array([self._vectors[text] for text in texts], dtype=np.float32)

    def words(self) -> list[str]:
        return list(self._vectors)


def test_random_neighbors_are_different_facts_of_the_pool_in_order_of_rank() -> None:
    pool = _facts(30)
    neighbors = at_random(_requests(4), pool, 10, seed=0)
    assert [(neighbor.request_id, neighbor.rank) for neighbor in neighbors] == [
        (f"e{edit}", rank) for edit in range(4) for rank in range(10)
    ]
    assert all(
        len({neighbor.fact_id for neighbor in neighbors if neighbor.request_id == f"e{edit}"}) == 10
        for edit in range(4)
    )
    facts = {fact.fact_id: fact for fact in pool}
    assert all(
        (neighbor.prompt, neighbor.target) == (facts[neighbor.fact_id].prompt, facts[neighbor.fact_id].target)
        for neighbor in neighbors
    )
    assert {neighbor.similarity for neighbor in neighbors} == {None}


def test_random_neighbors_of_a_request_do_not_depend_on_the_other_requests() -> None:
    requests, pool = _requests(6), _facts(1000)
    neighbors = at_random(requests, pool, 5, seed=0)
    fewer = at_random([requests[4], requests[1]], pool, 5, seed=0)
    assert fewer == [neighbor for name in ("e4", "e1") for neighbor in neighbors if neighbor.request_id == name]


def test_random_neighbors_differ_between_edits_and_between_seeds() -> None:
    requests, pool = _requests(2), _facts(1000)
    fact_ids = {
        tuple(neighbor.fact_id for neighbor in at_random([request], pool, 5, seed=seed))
        for request in requests
        for seed in (0, 1)
    }
    assert len(fact_ids) == 4


def test_random_neighbors_are_drawn_evenly_from_the_pool() -> None:
    neighbors = at_random(_requests(2000), _facts(10), 2, seed=0)
    counts = np.unique([neighbor.fact_id for neighbor in neighbors], return_counts=True)[1]
    assert len(counts) == 10
    assert np.abs(counts - 400).max() < 4 * np.sqrt(400)  # within four standard deviations, about


@pytest.mark.parametrize("size", [0, 3])
def test_a_pool_that_is_too_small_is_used_up_and_what_is_missing_is_counted(size: int) -> None:
    requests, pool = _requests(2), _facts(size)
    for neighbors in (
        at_random(requests, pool, 5, seed=0),
        similar(requests, pool, 5, encoder("hashing", "cpu")),
    ):
        assert len(neighbors) == 2 * size
        assert {neighbor.fact_id for neighbor in neighbors} == {fact.fact_id for fact in pool}


@pytest.mark.parametrize("part", [7, 100, 1000])
def test_similar_neighbors_are_those_of_brute_force_however_large_the_parts_are(
    part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_BATCH", 7)
    monkeypatch.setattr(tables, "_STREAMED_ROWS", part)
    random = np.random.default_rng(0)
    requests, pool = _requests(20), _facts(300)
    vectors = random.standard_normal((320, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    texts = [*(request.prompt for request in requests), *(fact.prompt for fact in pool)]
    table_encoder = TableEncoder({text: tuple(vector) for text, vector in zip(texts, vectors, strict=True)})

    neighbors = similar(requests, pool, 10, table_encoder)
    cosines = vectors[:20] @ vectors[20:].T
    best = np.argsort(-cosines, axis=1)[:, :10]
    assert [neighbor.fact_id for neighbor in neighbors] == [f"f{row}" for row in best.flatten()]
    assert [neighbor.rank for neighbor in neighbors] == list(range(10)) * 20
    assert [neighbor.similarity for neighbor in neighbors] == pytest.approx(
        np.take_along_axis(cosines, best, 1).flatten(), abs=1e-6
    )


@pytest.mark.parametrize(("results", "part"), [(1, 3000), (10_000_000, 3000), (10_000_000, 300)])
@pytest.mark.parametrize("index", ["Flat", "HNSW4"])
def test_of_equally_similar_facts_the_earlier_comes_first_however_many_there_are(
    results: int, part: int, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_RESULTS", results)
    monkeypatch.setattr(search, "_GATHERED", 50)
    monkeypatch.setattr(tables, "_STREAMED_ROWS", part)
    requests, pool = _requests(3), _facts(2000)
    third = 1 / np.sqrt(3)
    vectors = {fact.prompt: (third, third, third, 0.0) for fact in pool}
    vectors |= {fact.prompt: (1.0, 0.0, 0.0, 0.0) for fact in pool[::2]}
    vectors[pool[1999].prompt] = (third, third, third, 1e-4)  # the nearest, by less than the index can tell
    table_encoder = TableEncoder({**vectors, **{request.prompt: (0.8, 0.6, 0.0, 1e-4) for request in requests}})
    neighbors = similar(requests, pool, 5, table_encoder)
    assert [neighbor.fact_id for neighbor in neighbors] == ["f1999", "f1", "f3", "f5", "f7"] * 3


def test_similar_neighbors_of_a_request_do_not_depend_on_the_other_requests() -> None:
    requests, pool = _requests(8), _facts(500)
    together = similar(requests, pool, 5, encoder("hashing", "cpu"))
    alone = [neighbor for request in requests for neighbor in _similar([request], pool, "Flat")]
    assert alone == together


def test_an_inverted_file_finds_a_part_of_what_is_there_with_true_similarities() -> None:
    requests, pool = _requests(5), _facts(400)
    exact = {
        (neighbor.request_id, neighbor.fact_id): neighbor.similarity
        for neighbor in _similar(requests, pool, "Flat", n=400)
    }
    neighbors = _similar(requests, pool, "IVF4,Flat")
    assert len(neighbors) == 25
    assert all(neighbor.similarity == exact[neighbor.request_id, neighbor.fact_id] for neighbor in neighbors)


def test_an_index_that_finds_too_few_leaves_a_shortfall() -> None:
    requests, pool = _requests(3), _facts(400)
    neighbors = _similar(requests, pool, "IVF4,Flat", n=390)
    assert len({(neighbor.request_id, neighbor.fact_id) for neighbor in neighbors}) == len(neighbors) < 3 * 390
    assert [neighbor.rank for neighbor in neighbors if neighbor.request_id == "e1"] == list(
        range(sum(neighbor.request_id == "e1" for neighbor in neighbors))
    )


@pytest.mark.parametrize(("index", "size"), [("IVF4,Flat", 2), ("Flatt", 10)])
def test_an_index_that_cannot_be_made_is_an_error_that_names_it(index: str, size: int) -> None:
    with pytest.raises(
        ValueError, match=rf"neighbors\.index: FAISS cannot index {size} facts .*{index!r}(.|\n)*'Flat'"
    ):
        _similar(_requests(1), _facts(size), index)


def test_figures_count_what_is_missing_and_leave_out_a_similarity_that_nothing_has() -> None:
    rows = np.array([[3, 4, 5], [6, 7, -1]])
    assert figures(Retrieved(rows=rows, similarities=None), 4) == {"neighbors": 5, "shortfall": 3}
    similarities = np.array([[0.9, 0.8, 0.7], [0.6, 0.5, -np.inf]])
    assert figures(Retrieved(rows=rows, similarities=similarities), 3) == {
        "neighbors": 5,
        "shortfall": 1,
        "mean_similarity": pytest.approx(0.7),
    }


def test_vectors_that_an_earlier_run_left_are_not_encoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_STREAMED_ROWS", 10)
    encoded: list[int] = []
    encode = HashingEncoder.encode

    def counted(self: HashingEncoder, texts: Sequence[str]) -> Vectors:
        encoded.append(len(texts))
        return encode(self, texts)

    monkeypatch.setattr(HashingEncoder, "encode", counted)
    requests, rows = _requests(2), np.array([1, 2, 12, 35])
    with pool_of(_facts(40)) as pool:
        options = (requests, pool, rows, 2, encoder("hashing", "cpu"), "Flat", pool.path.parent)
        first = similar_neighbors(*options)
        (pool.path.parent / "vectors-00001.npy").unlink()
        second = similar_neighbors(*options)
    assert encoded == [2, 1, 1, 2, 1, 2]
    assert set(first.rows.flatten()) <= set(rows)
    assert (first.rows == second.rows).all()


def test_only_the_usable_facts_are_drawn() -> None:
    usable = np.array([3, 5, 8])
    neighbors = random_neighbors(_requests(20), usable, 2, 0)
    assert set(neighbors.rows.flatten()) == {3, 5, 8}


def test_an_index_takes_search_parameters_and_then_finds_more() -> None:
    requests, pool = _requests(5), _facts(400)
    assert _similar(requests, pool, "IVF4,Flat;nprobe=4") == _similar(requests, pool, "Flat")


def test_sparse_vectors_that_are_equally_similar_by_the_hundred_are_those_of_brute_force_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    requests, pool = _requests(30), _facts(900)
    encode = encoder("hashing", "cpu").encode
    vectors, queries = (encode([row.prompt for row in rows]).astype(float) for rows in (pool, requests))
    cosines = np.round((queries[:, None] * vectors).sum(axis=2), 12)
    best = np.argsort(-cosines, axis=1, kind="stable")[:, :5]
    for part, results, sparse in ((1000, 10_000_000, 1), (100, 700, 1), (3, 700, 1), (100, 10_000_000, 0)):
        monkeypatch.setattr(tables, "_STREAMED_ROWS", part)
        monkeypatch.setattr(search, "_RESULTS", results)
        monkeypatch.setattr(search, "_SPARSE", sparse)
        assert [neighbor.fact_id for neighbor in _similar(requests, pool, "Flat")] == [
            f"f{row}" for row in best.flatten()
        ]


def _similar(requests: Sequence[Request], pool: Sequence[Fact], index: str, n: int = 5) -> list[UneditedFact]:
    return similar(requests, pool, n, encoder("hashing", "cpu"), index)


def _requests(count: int) -> list[Request]:
    return [
        Request(
            request_id=f"e{number}",
            dataset="test",
            subject=None,
            relation=None,
            prompt=f"The town of edit {number} is",
            template=None,
            target_new="x",
            target_true=None,
        )
        for number in range(count)
    ]


def _facts(count: int) -> list[Fact]:
    return [
        Fact(
            fact_id=f"f{number}",
            subject=None,
            relation=None,
            prompt=f"The {'town' if number % 3 else 'street'} of fact {number} is",
            target=f"t{number}",
        )
        for number in range(count)
    ]
