"""Edits without generalization prompts get some of their own, which no training paraphrase repeats."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lib.core import params
from lib.core.records import EvaluationPrompt, Paraphrase, Request, scored_on
from lib.generation.engine import Prompt, Sampling
from lib.paraphrases.chunks import Chunk, chunks_of, contents, make
from lib.paraphrases.cleaning import clean
from lib.paraphrases.evaluation import evaluation_chunks, evaluation_paraphrases, evaluation_prompts

PARA = params.section("para", params.Para).model_copy(update={"method": "fewshot", "n": 3, "evaluation": 2})
BARE = Request(
    request_id="1",
    dataset="own",
    subject="Ada Byron",
    relation=None,
    prompt="Ada Byron was born in",
    template=None,
    target_new="Rome",
    target_true=None,
)
ASKED = replace(BARE, request_id="2", paraphrases=("The birthplace of Ada Byron is",))


class Lines:
    """A generator that continues every list alike, and remembers the seeds that it was given."""

    def __init__(self, *lines: str) -> None:
        self.lines, self.seeds = lines, list[int]()

    def generate(self, prefix: str, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        self.seeds += [one.seed for one in prompts]
        numbered = (f"{number}) Paraphrased: {one}\n" for number, one in enumerate(self.lines, start=1))
        return ["".join(numbered).removeprefix("1) Paraphrased:")] * len(prompts)

    def prefix_cache_hit_rate(self) -> None:
        return None


def drawn(chunks: list[Chunk], generator: Lines) -> list[Paraphrase]:
    make(chunks, generator, list)
    return contents(chunks)


LINES = ("Ada Byron comes from", "Rome is where Ada Byron", "Ada Byron, a native of", "The cradle of Ada Byron is in")


def test_an_edit_without_generalization_prompts_gets_clean_ones_and_another_keeps_its_own(tmp_path: Path) -> None:
    found = drawn(evaluation_chunks([BARE, ASKED], PARA, tmp_path), Lines(*LINES))
    made = evaluation_paraphrases([BARE, ASKED], found, PARA)
    assert [(one.request_id, one.text) for one in made.kept] == [("1", LINES[0]), ("1", LINES[2])]
    prompts = evaluation_prompts(made.kept)
    assert [(row.request_id, row.prompt_index, row.prompt) for row in prompts] == [
        ("1", 0, LINES[0]),
        ("1", 1, LINES[2]),
    ]
    assert all(isinstance(row, EvaluationPrompt) for row in prompts)
    assert scored_on([BARE, ASKED], prompts) == [replace(BARE, paraphrases=(LINES[0], LINES[2])), ASKED]


def test_no_training_paraphrase_repeats_one_and_they_are_drawn_with_other_seeds(tmp_path: Path) -> None:
    generator = Lines(*LINES)
    made = evaluation_paraphrases([BARE], drawn(evaluation_chunks([BARE], PARA, tmp_path), generator), PARA)
    evaluated = set(generator.seeds)
    found = drawn(chunks_of([BARE], PARA, tmp_path), generator)
    assert not evaluated & set(generator.seeds[len(evaluated) :])
    trained = clean(scored_on([BARE], evaluation_prompts(made.kept)), found, PARA.n, PARA.method)
    assert {one.text for one in trained.kept} == {LINES[3]}


def test_none_are_asked_for_where_none_are_wanted(tmp_path: Path) -> None:
    none = PARA.model_copy(update={"evaluation": 0})
    assert evaluation_chunks([BARE], none, tmp_path) == []
    assert evaluation_paraphrases([BARE], [], none).kept == []
