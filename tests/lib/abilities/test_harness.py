"""The harness on a model in memory: likelihoods and continuations against the plainest computation of the same."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.api.instance import Instance

from lib.abilities import harness, tasks
from lib.abilities.harness import MemoryModel
from lib.core.records import Fact
from lib.core.tables import write
from tests.helpers.models import byte_tokenizer, tiny_model

FAMILIES = ["gpt2", "gptj", "llama", "qwen3"]
PROMPTS = ["A cat", "The quick brown fox jumps over", "", "Oslo is the capital of"]


def ask(kind: str, *arguments: Any) -> Instance:
    return Instance(request_type=kind, doc={}, arguments=arguments, idx=0, metadata=("task", 0, 1))


def log_probabilities(model: Any, ids: list[int]) -> torch.Tensor:
    """[t - 1, v]: of every token but the first, by one forward pass on this text alone."""
    log_p: torch.Tensor = model(torch.tensor([ids[:-1]])).logits[0].float().log_softmax(-1)
    return log_p


@pytest.mark.parametrize("family", FAMILIES)
def test_loglikelihood_is_the_sum_over_the_continuation_given_the_context(family: str) -> None:
    model, tokenizer = tiny_model(family), byte_tokenizer()
    pairs = [(context, continuation) for context in PROMPTS for continuation in (" sat.", " of Norway", "s")]
    answers = MemoryModel(model, tokenizer, 64).loglikelihood([ask("loglikelihood", *pair) for pair in pairs])
    for (context, ending), (value, greedy) in zip(pairs, answers, strict=True):
        prompt, target = tokenizer(context).input_ids or [0], tokenizer(ending).input_ids
        table = log_probabilities(model, [*prompt, *target])[len(prompt) - 1 :]
        assert value == pytest.approx(table.gather(1, torch.tensor(target)[:, None]).sum().item(), abs=1e-4)
        assert greedy == (table.argmax(-1).tolist() == target)


def test_a_greedy_continuation_is_recognised() -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    prompts = [f"{letter} cat" for letter in "ABCDEFGHIJKLMNOP"]
    likeliest = [int(model(torch.tensor([tokenizer(prompt).input_ids])).logits[0, -1].argmax()) for prompt in prompts]
    continued = [(prompt, tokenizer.decode([token])) for prompt, token in zip(prompts, likeliest, strict=True)]
    pairs = [
        pair for pair in continued if tokenizer(pair[1]).input_ids in [[token] for token in likeliest]
    ]  # whole characters
    assert len(pairs) > 3
    answers = MemoryModel(model, tokenizer, 64).loglikelihood([ask("loglikelihood", *pair) for pair in pairs])
    assert all(greedy for _, greedy in answers)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_rolling_likelihood_predicts_every_token_once_in_windows(family: str) -> None:
    model, tokenizer = tiny_model(family), byte_tokenizer()
    text = "The committee met again to discuss the road. " * 7  # 315 tokens, the model takes 128
    (log_likelihood,) = MemoryModel(model, tokenizer, 4096).loglikelihood_rolling([ask("loglikelihood_rolling", text)])
    ids = tokenizer(text).input_ids
    total = 0.0
    for start in range(0, len(ids), 128):
        target = ids[start : start + 128]
        prompt = [0] if start == 0 else ids[max(0, start + len(target) - 129) : start]
        table = log_probabilities(model, [*prompt, *target])[len(prompt) - 1 :]
        total += table.gather(1, torch.tensor(target)[:, None]).sum().item()
    assert log_likelihood == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("micro_batch_tokens", [16, 4096])
def test_continuations_are_those_of_each_prompt_alone(family: str, micro_batch_tokens: int) -> None:
    model, tokenizer = tiny_model(family), byte_tokenizer()
    settings = {"max_gen_toks": 6, "until": [], "do_sample": False}
    texts = MemoryModel(model, tokenizer, micro_batch_tokens).generate_until(
        [ask("generate_until", p, settings) for p in PROMPTS]
    )
    for prompt, text in zip(PROMPTS, texts, strict=True):
        ids = tokenizer(prompt).input_ids or [0]
        alone: list[int] = []
        for _ in range(6):
            alone.append(int(model(torch.tensor([ids + alone])).logits[0, -1].argmax()))
            if alone[-1] == 0:
                break
        assert text == tokenizer.decode(alone, skip_special_tokens=True)


def test_a_continuation_ends_before_a_stop_text() -> None:
    memory = MemoryModel(tiny_model("llama"), byte_tokenizer(), 64)
    (full_text,) = memory.generate_until([ask("generate_until", "A cat", {"max_gen_toks": 8, "until": []})])
    stop = full_text[2:4]
    (cut,) = memory.generate_until([ask("generate_until", "A cat", {"max_gen_toks": 8, "until": stop})])
    assert cut == full_text.split(stop)[0]
    assert len(cut) < len(full_text)


def test_a_rationale_is_written_before_the_answer_and_read_by_it() -> None:
    memory = MemoryModel(tiny_model("llama"), byte_tokenizer(), 64)
    settings = {"max_gen_toks": 2, "until": [], "rationale": {"max_gen_toks": 4, "until": [], "then": " So:"}}
    (answer,) = memory.generate_until([ask("generate_until", "A cat", settings)])
    (reasons,) = memory.generate_until([ask("generate_until", "A cat", {"max_gen_toks": 4, "until": []})])
    before = f"A cat{reasons.rstrip()} So:"
    (last,) = memory.generate_until([ask("generate_until", before, {"max_gen_toks": 2, "until": []})])
    assert answer == f"{reasons.rstrip()} So:{last}"


def test_a_rationale_leaves_half_of_the_context_to_the_prompt() -> None:
    memory = MemoryModel(tiny_model("llama"), byte_tokenizer(), 64)  # it takes 128 tokens
    rationale = {"max_gen_toks": 512, "until": [], "then": " So:"}
    (answer,) = memory.generate_until(
        [ask("generate_until", "y" * 50, {"max_gen_toks": 2, "until": [], "rationale": rationale})]
    )
    (reasons,) = memory.generate_until([ask("generate_until", "y" * 50, {"max_gen_toks": 64, "until": []})])
    assert answer.startswith(f"{reasons.rstrip()} So:")
    assert memory.truncated == set()


def test_a_prompt_that_is_too_long_loses_its_beginning_and_is_noted() -> None:
    memory = MemoryModel(tiny_model("llama"), byte_tokenizer(), 64)
    long, short = "x" * 60 + "y" * 120, "y" * 120
    settings = {"max_gen_toks": 8, "until": []}
    answers = memory.generate_until([ask("generate_until", long, settings), ask("generate_until", short, settings)])
    assert answers[0] == answers[1]
    assert memory.truncated == {long}
    values = memory.loglikelihood([ask("loglikelihood", prompt, " end") for prompt in (long + "y" * 5, "y" * 125)])
    assert values[0] == pytest.approx(values[1])
    assert memory.truncated == {long, long + "y" * 5}


def test_a_task_that_wants_sampling_is_refused() -> None:
    with pytest.raises(ValueError, match="task task: wants sampling"):
        MemoryModel(tiny_model("llama"), byte_tokenizer(), 64).generate_until(
            [ask("generate_until", "A", {"do_sample": True})]
        )


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """Twelve facts of two relations."""
    rows = [
        Fact(
            fact_id=f"{number}",
            subject=f"S{number}",
            relation=relation,
            prompt=f"The {relation} of S{number} is",
            target=answer,
        )
        for relation, answers in (("city", ("Oslo", "Rome", "Bern", "Lima")), ("tool", ("saw", "axe", "pen", "pot")))
        for number, answer in enumerate((*answers, *answers[:2]))
    ]
    write(tmp_path / "pool.parquet", Fact, rows)
    return tmp_path / "pool.parquet"


NAMES = ["pool_recall", "world_four_choice", "world_yes_no"]


def load(pool: Path, limit: int | None = None, seed: int = 0) -> harness.LoadedTasks:
    arguments = tasks.given(folder=None, pool=pool, seed=seed)
    return harness.load(NAMES, published=False, extra_metadata=arguments, limit=limit, seed=seed)


def test_results_keep_the_harness_format_without_paths_or_dates(pool: Path) -> None:
    results = harness.run(load(pool), MemoryModel(tiny_model("llama"), byte_tokenizer(), 4096))
    assert {"results", "configs", "versions", "n-shot", "higher_is_better", "n-samples", "samples"} <= set(results)
    assert results["n-samples"]["world_four_choice"] == {"original": 12, "effective": 12}
    assert results["n-shot"] == {"pool_recall": 0, "world_four_choice": 0, "world_yes_no": 4}
    accuracy = [sample["acc"] for sample in results["samples"]["world_four_choice"]]
    assert results["results"]["world_four_choice"]["acc,none"] == pytest.approx(sum(accuracy) / 12)
    assert not {"date", "git_hash"} & set(results)
    assert all("config_source" not in config["metadata"] for config in results["configs"].values())


def test_a_log_gets_plain_lines_and_no_bar(pool: Path, capfd: pytest.CaptureFixture[str]) -> None:
    harness.run(load(pool), MemoryModel(tiny_model("llama"), byte_tokenizer(), 4096))
    assert "%|" not in capfd.readouterr().err


def test_the_same_run_gives_the_same_results_and_leaves_random_streams_alone(pool: Path) -> None:
    state = torch.get_rng_state()
    first, second = (harness.run(load(pool), MemoryModel(tiny_model("gpt2"), byte_tokenizer(), 256)) for _ in range(2))
    assert first == second
    assert torch.equal(torch.get_rng_state(), state)


def test_a_limit_draws_the_same_documents_for_a_seed_and_others_for_another(pool: Path) -> None:
    indices = load(pool, limit=5).indices
    assert indices == load(pool, limit=5).indices != load(pool, limit=5, seed=1).indices
    assert {name: len(task_indices) for name, task_indices in indices.items()} == dict.fromkeys(NAMES, 5)
    results = harness.run(load(pool, limit=5), MemoryModel(tiny_model("llama"), byte_tokenizer(), 4096))
    everything_run = harness.run(load(pool), MemoryModel(tiny_model("llama"), byte_tokenizer(), 4096))
    for name in NAMES:
        used = {sample["doc_id"]: sample["doc"] for sample in results["samples"][name]}
        everything = {sample["doc_id"]: sample["doc"] for sample in everything_run["samples"][name]}
        assert used == {index: everything[index] for index in indices[name]}


def test_the_edit_of_a_model_changes_what_is_measured(pool: Path) -> None:
    rows = []
    for seed in (0, 1):
        results = harness.run(load(pool), MemoryModel(tiny_model("llama", seed), byte_tokenizer(), 4096))
        rows.append([sample["resps"] for sample in results["samples"]["world_four_choice"]])
    assert rows[0] != rows[1]


def test_yes_no_questions_come_after_four_worked_examples(pool: Path) -> None:
    task = load(pool).tasks["world_yes_no"]
    context = task.fewshot_context(task.eval_docs[0], num_fewshot=4)
    blocks = context.split("\n\n")
    assert [block.rsplit(" ", 1)[1] for block in blocks[:4]] == ["yes", "no", "yes", "no"]
    assert blocks[4] == f"{task.eval_docs[0]['statement']} Is that true?"
    assert not {document["statement"] for document in task.dataset["examples"]} & {
        document["statement"] for document in task.eval_docs
    }
