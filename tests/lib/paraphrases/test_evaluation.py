"""Edits without generalization prompts get some of their own, which no training paraphrase repeats."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lib.core import params
from lib.core.records import EvaluationPrompt, Paraphrase, Request, scored_on
from lib.generation.engine import Prompt, Sampling
from lib.paraphrases.chunks import Chunk, chunks_of, complete, contents
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
WITH_PARAPHRASE = replace(BARE, request_id="2", paraphrases=("The birthplace of Ada Byron is",))


class LinesGenerator:
    """Continues every list with the same lines, and remembers the seeds that it was given."""

    def __init__(self, *lines: str) -> None:
        self.lines, self.seeds = lines, list[int]()

    def generate(self, prefix: str, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        self.seeds += [prompt.seed for prompt in prompts]
        numbered = (f"{number}) Paraphrased: {line}\n" for number, line in enumerate(self.lines, start=1))
        return ["".join(numbered).removeprefix("1) Paraphrased:")] * len(prompts)

    def prefix_cache_hit_rate(self) -> None:
        return None


def candidates(chunks: list[Chunk], generator: LinesGenerator) -> list[Paraphrase]:
    complete(chunks, generator, list)
    return contents(chunks)


LINES = ("Ada Byron comes from", "Rome is where Ada Byron", "Ada Byron, a native of", "The cradle of Ada Byron is in")


def test_a_request_without_generalization_prompts_gets_clean_ones_and_another_keeps_its_own(tmp_path: Path) -> None:
    requests = [BARE, WITH_PARAPHRASE]
    drawn_lines = candidates(evaluation_chunks(requests, PARA, tmp_path), LinesGenerator(*LINES))
    cleaned = evaluation_paraphrases(requests, drawn_lines, PARA)
    assert [(paraphrase.request_id, paraphrase.text) for paraphrase in cleaned.paraphrases] == [
        ("1", LINES[0]),
        ("1", LINES[2]),
    ]
    prompts = evaluation_prompts(cleaned.paraphrases)
    assert prompts == [
        EvaluationPrompt(request_id="1", prompt_index=index, prompt=line, seed=cleaned.paraphrases[index].seed)
        for index, line in enumerate((LINES[0], LINES[2]))
    ]
    assert scored_on(requests, prompts) == [
        replace(BARE, paraphrases=(LINES[0], LINES[2])),
        WITH_PARAPHRASE,
    ]


def test_no_training_paraphrase_repeats_one_and_they_are_drawn_with_other_seeds(tmp_path: Path) -> None:
    generator = LinesGenerator(*LINES)
    evaluation = evaluation_paraphrases([BARE], candidates(evaluation_chunks([BARE], PARA, tmp_path), generator), PARA)
    evaluation_seeds = set(generator.seeds)
    training = candidates(chunks_of([BARE], PARA, tmp_path), generator)
    assert not evaluation_seeds & set(generator.seeds[len(evaluation_seeds) :])
    cleaned = clean(scored_on([BARE], evaluation_prompts(evaluation.paraphrases)), training, PARA.n, PARA.method)
    assert {paraphrase.text for paraphrase in cleaned.paraphrases} == {LINES[3]}


def test_none_are_drawn_where_none_are_asked_for(tmp_path: Path) -> None:
    none = PARA.model_copy(update={"evaluation": 0})
    assert evaluation_chunks([BARE], none, tmp_path) == []
    assert evaluation_paraphrases([BARE], [], none).paraphrases == []
