"""Stage paraphrase draws a continuation once: other numbers of paraphrases reuse what earlier runs drew."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from lib.core.params import Para, section
from lib.core.records import Paraphrase
from lib.core.tables import read
from lib.generation import backends
from lib.generation.engine import Generator, Prompt, Sampling
from stages import paraphrase as stage
from tests.helpers import small
from tests.helpers.stages import change_params, run_main

SETTINGS = section("para", Para).model_copy(
    update={"method": "both", "n": 10, "samples": 2, "evaluation": 0, "max_tokens": 16, "prefix_tokens": [3, 5]}
)
SPARE_PREFIXES = 4
RunStage = Callable[..., list[Paraphrase]]


class CountingGenerator:
    """Counts the continuations that it is asked for; each depends on its prompt, its seed and its length limit."""

    def __init__(self) -> None:
        self.starts = self.continuations = 0

    def generate(self, shared_prefix: str, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        self.continuations += len(prompts)
        if not shared_prefix:
            return [f"Prefix {prompt.seed} of {sampling.max_tokens}" for prompt in prompts]
        names = (prompt.text.split()[1] for prompt in prompts)
        return [f" The home {prompt.seed} of {name} is\nrest" for name, prompt in zip(names, prompts, strict=True)]

    def prefix_cache_hit_rate(self) -> None:
        return None


@pytest.fixture
def generator() -> CountingGenerator:
    return CountingGenerator()


@pytest.fixture
def run_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, generator: CountingGenerator) -> RunStage:
    paths = small.inputs(tmp_path)
    options = {name: paths[name] for name in ("requests", "pool", "model")}
    options |= {name: tmp_path / "out" / name for name in ("paraphrases", "evaluation", "metrics", "results")}

    @contextmanager
    def started(para: Para, base: Path) -> Iterator[Generator]:
        generator.starts += 1
        yield generator

    def run_stage(root: str = "first", **changes: object) -> list[Paraphrase]:
        monkeypatch.setenv("DVC_ROOT", str(tmp_path / root))
        change_params(monkeypatch, para=SETTINGS.model_copy(update=changes).model_dump())
        monkeypatch.setattr(backends, "generator", started)
        run_main(stage, options)
        return read(options["paraphrases"], Paraphrase)

    return run_stage


def test_a_smaller_n_starts_no_generator_and_writes_what_it_would_have_drawn(
    run_stage: RunStage, generator: CountingGenerator
) -> None:
    run_stage(n=10)
    assert generator.starts == 1
    assert generator.continuations == len(small.REQUESTS) * (SETTINGS.samples + 10 + SPARE_PREFIXES)
    reused = run_stage(n=9)
    assert generator.starts == 1
    assert reused == run_stage(root="second", n=9)


def test_a_larger_n_draws_only_the_prefixes_that_are_missing(run_stage: RunStage, generator: CountingGenerator) -> None:
    run_stage(n=7)
    before = generator.continuations
    extended = run_stage(n=10)
    assert generator.continuations == before + 3 * len(small.REQUESTS)
    assert extended == run_stage(root="second", n=10)


def test_more_samples_and_another_method_draw_only_what_is_missing(
    run_stage: RunStage, generator: CountingGenerator
) -> None:
    run_stage(method="fewshot", samples=1)
    assert generator.continuations == len(small.REQUESTS)
    extended = run_stage(samples=2)
    assert generator.continuations == len(small.REQUESTS) * (2 + 10 + SPARE_PREFIXES)
    assert run_stage(samples=2, n=10) == extended
    assert generator.starts == 2


@pytest.mark.parametrize("changes", [{"seed": 1}, {"temperature": 0.5}, {"prefix_top_k": 2}])
def test_what_draws_a_text_is_part_of_its_key(
    run_stage: RunStage, generator: CountingGenerator, changes: dict[str, object]
) -> None:
    run_stage()
    run_stage(**changes)
    assert generator.starts == 2
    run_stage()
    assert generator.starts == 2, "the first settings' continuations are still there"
