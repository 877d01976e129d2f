"""What a model is asked to write of an edit: how many tokens, from which seeds, behind which context."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from lib.core.params import Generations, Greedy
from lib.core.records import Request
from lib.edits.contexts import Contexts
from lib.models.templates import chat_prompt
from lib.scoring import texts as continuations
from lib.scoring.prompts import scored_prompts
from tests.helpers.models import CHAT_TEMPLATE, byte_tokenizer, golden_model, tiny_model

TOKENIZER = byte_tokenizer()
SAMPLED = Generations(tokens=30, top_k=5, seed=0, limit=None)
GREEDY = Greedy(tokens=4, limit=None)


def request(request_id: str = "a", **changed: Any) -> Request:
    values: dict[str, Any] = {"request_id": request_id, "dataset": "own", "subject": None, "relation": None}
    values |= {"prompt": "Rome lies in", "template": None, "target_new": "Gaul", "target_true": None}
    values |= {"paraphrases": ("Rome is in", "Find Rome in"), "generation_prompts": ("Rome", "The city of Rome")}
    return Request(**(values | changed))


def builder(contexts: Mapping[str, str] | None = None, longest: int | None = None) -> continuations.ContinuationBuilder:
    return continuations.ContinuationBuilder(
        tokenizer=TOKENIZER, longest=longest, contexts=Contexts(texts=contexts or {})
    )


def write(
    model: Any, requested: list[continuations.Continuation], top_k: int | None = 5, rows: int = 4
) -> dict[Any, str]:
    tokens = continuations.tokens(model, requested, top_k, rows)
    return {
        (continuation.request_id, continuation.kind, continuation.prompt_index): continuations.text(
            TOKENIZER, continuation, ids
        )
        for continuation, ids in zip(requested, tokens, strict=True)
    }


def test_the_edited_prompt_and_its_paraphrases_are_continued_with_room_for_the_target() -> None:
    built = builder().greedy([request(), request("b", target_new="Upper Gaul")], GREEDY)
    assert [(continuation.kind, continuation.prompt_index, continuation.prompt) for continuation in built[:3]] == [
        ("efficacy", 0, "Rome lies in"), ("generalization", 0, "Rome is in"), ("generalization", 1, "Find Rome in")
    ]  # fmt: skip
    assert [continuation.encoded.tokens for continuation in built] == [len(" Gaul") + 1] * 3 + [
        len(" Upper Gaul") + 1
    ] * 3
    (long,) = builder().greedy([request(paraphrases=())], Greedy(tokens=40, limit=None))
    assert (long.encoded.tokens, long.encoded.end) == (40, TOKENIZER.eos_token_id)


def test_a_passage_and_its_prompt_have_the_length_that_was_asked_for_and_no_end() -> None:
    built = builder().generations([request()], SAMPLED)
    assert [(continuation.prompt, continuation.encoded.length, continuation.encoded.end) for continuation in built] == [
        ("Rome", 30, None), ("The city of Rome", 30, None)
    ]  # fmt: skip


def test_every_edit_and_prompt_has_a_seed_of_its_own_which_the_params_seed_moves() -> None:
    def seeds(seed: int) -> list[int]:
        settings = SAMPLED.model_copy(update={"seed": seed})
        return [
            continuation.encoded.seed for continuation in builder().generations([request(), request("b")], settings)
        ]

    assert len({*seeds(0), *seeds(1)}) == 8
    assert seeds(0) == seeds(0)


def test_a_context_is_read_before_the_prompt_and_does_not_count() -> None:
    model, context = tiny_model("gpt2"), "Rome now lies in Gaul. "
    built = builder({"a": context}).generations([request()], SAMPLED)
    assert [continuation.encoded.tokens for continuation in built] == [30 - len("Rome"), 30 - len("The city of Rome")]
    assert [continuation.row("", "after", 0).prompt for continuation in built] == ["Rome", "The city of Rome"]
    with_context = write(model, builder({"a": context}).greedy([request()], GREEDY), None)
    paraphrases = (context + "Rome is in", context + "Find Rome in")
    with_prefix = request(prompt=context + "Rome lies in", paraphrases=paraphrases)
    assert with_context == write(model, builder().greedy([with_prefix], GREEDY), None)


def test_a_context_is_read_once_for_all_prompts_behind_it() -> None:
    built = builder({"a": "One. ", "b": "Two. "}).generations([request(), request("b")], SAMPLED)
    assert len({continuation.encoded.prefix for continuation in built}) == 2
    assert all(
        continuation.encoded.ids[: len(continuation.encoded.prefix)] == continuation.encoded.prefix
        for continuation in built
    )


@pytest.mark.parametrize("top_k", [None, 5])
def test_texts_do_not_depend_on_what_else_is_written(top_k: int | None) -> None:
    model, requests = tiny_model("llama"), [request(request_id) for request_id in "abcde"]
    together = write(model, builder().generations(requests, SAMPLED), top_k)
    for single in requests:
        alone = write(model, builder().generations([single], SAMPLED), top_k)
        assert alone.items() <= together.items()


def test_a_text_begins_with_the_space_that_some_tokenizers_drop() -> None:
    model, tokenizer = golden_model("llama")
    chat_builder = continuations.ContinuationBuilder(tokenizer=tokenizer, longest=None, contexts=Contexts())
    built = chat_builder.greedy([request(prompt="The mother tongue of", paraphrases=())], GREEDY)
    (tokens,) = continuations.tokens(model, built, None, 1)
    text = continuations.text(tokenizer, built[0], tokens)
    assert tokenizer.decode(tokenizer("The mother tongue of" + text).input_ids, skip_special_tokens=True).strip() == (
        "The mother tongue of" + text
    )


def test_a_row_says_how_its_text_was_made() -> None:
    (greedy, *_), (sampled, *_) = (
        builder().greedy([request()], GREEDY),
        builder().generations([request()], SAMPLED),
    )
    assert (greedy.row("x", "before", 0).decoding, greedy.row("x", "before", 0).seed) == ("greedy", None)
    row = sampled.row("x", "after", 7)
    assert (row.decoding, row.seed, row.kind, row.session) == ("sampled", sampled.encoded.seed, "generation", 7)


def test_a_context_too_long_for_the_model_loses_its_beginning_and_is_marked() -> None:
    context = "x" * 200
    built = builder({"a": context}, longest=128).greedy([request()], GREEDY)
    assert max(continuation.encoded.length for continuation in built) == 128
    assert len({len(continuation.encoded.ids) - len(continuation.prompt) for continuation in built}) == 1
    assert all(continuation.row("", "after", 0).truncated for continuation in built)
    assert write(tiny_model("gpt2"), built, None).keys() == {
        (continuation.request_id, continuation.kind, continuation.prompt_index) for continuation in built
    }
    assert not any(continuation.truncated for continuation in builder(longest=128).greedy([request()], GREEDY))


def test_a_chat_model_answers_the_edits_question_in_its_template_also_behind_a_context() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE
    capital = request(prompt="The seat of Rome is", subject="Rome", paraphrases=())
    for context in ("", "Rome has moved. "):
        asking = continuations.ContinuationBuilder(
            tokenizer=tokenizer, longest=None, contexts=Contexts(texts={"a": context})
        )
        *_, answer = asking.greedy([capital], GREEDY)
        assert (answer.kind, answer.prompt_index, answer.context) == ("chat", 0, "")
        assert answer.prompt == "<user>What is the seat of Rome?</>\n<assistant>\n"
        rendered = f"<user>{context}What is the seat of Rome?</>\n<assistant>\n"
        assert list(answer.encoded.ids) == tokenizer(rendered).input_ids
        assert answer.encoded.tokens == len("The seat of Rome is") + len("Gaul") + GREEDY.tokens
        template = partial(chat_prompt, tokenizer)
        *_, scored = scored_prompts([capital], Contexts(texts={"a": context}), template)
        assert (scored.kind, scored.prompt, scored.targets) == ("chat", rendered, (("new", "Gaul"),))
    assert {prompt.kind for prompt in scored_prompts([capital], Contexts())} == {"efficacy"}
