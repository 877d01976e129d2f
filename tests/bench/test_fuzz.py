"""Fuzzed files: cases are the same every time, verdicts are told apart, and every kind of file stands a few of them."""

from pathlib import Path
from random import Random

import pytest

from bench.faults.files import faults_of, row
from bench.faults.fuzz import mutations
from bench.faults.fuzz.cases import Loader, RowCount, loaders, run_case
from lib.core.errors import InputError

QUICK = ("own CSV", "own JSON", "own JSON Lines", "own Parquet", "CounterFact", "ZsRE, pool", "EasyEdit", "KnowEdit",
         "plain text", "articles, Parquet", "word weights", "task natural_questions", "task rte", "params.yaml",
         "experiments/*.yaml", "edit", "PEFT adapter", "errata/run.json", "wheel", "cache of downloads",
         "MQuAKE", "RippleEdits", "WikiBigEdit", "memories of an edit", "notes of an edit", "command line")  # fmt: skip


def loader(read: object) -> Loader:
    return Loader(name="x", files={"a.json": b"[1, 2, 3]"}, values={}, read=read)  # type: ignore[arg-type]


def refuse(folder: Path) -> None:
    raise InputError(f"{folder / 'a.json'}: wanted something else")


def refuse_without_a_name(folder: Path) -> None:
    raise InputError("wanted something else")


def fail(folder: Path) -> None:
    raise KeyError("a")


@pytest.mark.parametrize(
    ("read", "verdict", "reason"),
    [
        (lambda folder: None, "read", ""),
        (refuse, "refused", ""),
        (refuse_without_a_name, "bug", "names no file"),
        (fail, "bug", "KeyError in tests/bench/test_fuzz.py:fail"),
        (lambda folder: RowCount(rows=2, lines={1: "a"}, rejects=frozenset([2]), expected=2), "read", ""),
        (lambda folder: RowCount(rows=2, lines={1: "a"}, rejects=frozenset()), "bug", "a row is neither"),
        (lambda folder: RowCount(rows=1, lines={1: "a"}, rejects=frozenset(), expected=2), "bug", "fewer rows than"),
    ],
)  # fmt: skip
def test_what_comes_of_a_case_is_judged(read: object, verdict: str, reason: str, tmp_path: Path) -> None:
    case = run_case(loader(read), 1, tmp_path)
    assert case.verdict == verdict
    assert case.reason.startswith(reason)


def test_a_case_is_the_same_every_time() -> None:
    changed = [mutations.restructured([{"a": ["b", 1]}], Random(7)) for _ in range(2)]
    assert repr(changed[0]) == repr(changed[1])
    assert mutations.damaged(b"abc", Random(3)) == mutations.damaged(b"abc", Random(3))


def test_a_key_is_there_a_second_time() -> None:
    assert mutations.with_repeated_key(b'[{"a": 1}]', Random(0)).count(b'"a": ') == 2


def test_faults_are_counted_by_their_kind(tmp_path: Path) -> None:
    cases = [run_case(loader(fail), number, tmp_path) for number in range(4)]
    assert row("x", cases) == ("x", "4", "0", "0", "4")
    (sentence,) = faults_of({"x": cases})
    assert sentence.startswith("x: KeyError in tests/bench/test_fuzz.py:fail: 4 of 4 (cases 0, 1, 2; ")


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_no_file_of_a_few_ends_in_a_traceback_or_loses_a_row(name: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    cases = [run_case(loaders()[name], number, tmp_path) for number in range(25)]
    assert [case for case in cases if case.verdict == "bug"] == []
