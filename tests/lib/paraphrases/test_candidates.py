"""Paraphrases: what is asked of a generator, and what cleaning keeps."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.core.records import LocalityPrompt, Paraphrase, Request
from lib.core.texts import normalize
from lib.generation.engine import Prompt, Sampling
from lib.generation.texts import TransformersGenerator
from lib.paraphrases import prompt
from lib.paraphrases.cleaning import clean
from tests.helpers.models import byte_tokenizer, tiny_model

REQUEST = Request(
    request_id="1",
    dataset="own",
    subject="Ada Byron",
    relation="birthplace",
    prompt="Ada Byron was born in",
    template="{} was born in",
    target_new="Rome",
    target_true="London",
    paraphrases=("It rained. The birthplace of Ada Byron is",),
    locality=(LocalityPrompt(prompt="Ada Byron's friend Bob lives in", target="Oslo"),),
)


def line(text: str, kind: str = "fewshot") -> Paraphrase:
    return Paraphrase(request_id="1", kind=kind, text=text, seed=0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Ada Byron was  born in", "copy"),
        ("ADA BYRON, was born in!", "copy"),
        ("Bob was born in", "subject"),
        ("Ada Byronson was born in", "subject"),
        ("Ada Byron of Rome was born in", "target"),
        ("Ada Byron, a native of London, comes from", "target"),
        ("The birthplace of Ada Byron is", "evaluation"),
        ("So: It rained. The birthplace of Ada Byron is", "evaluation"),
        ("Ada Byron's friend Bob lives in", "evaluation"),
        ("Ada Byron was a native of it.", "sentence"),
        ("Ada Byron comes from", None),
    ],
)
def test_cleaning_drops_with_the_right_reason(text: str, reason: str | None) -> None:
    cleaned = clean([REQUEST], [line(text)], n=1, method="fewshot")
    assert dict(cleaned.dropped) == ({reason: 1} if reason else {})
    assert (len(cleaned.paraphrases), cleaned.shortfall) == ((0, 1) if reason else (1, 0))


def test_another_requests_evaluation_prompt_about_the_same_subject_is_kept_away() -> None:
    second = replace(REQUEST, request_id="2", paraphrases=("Ada Byron comes from",), locality=())
    cleaned = clean([REQUEST, second], [line("Ada Byron comes from")], n=1, method="fewshot")
    assert cleaned.dropped["evaluation"] == 1


def test_duplicates_are_kept_once() -> None:
    cleaned = clean([REQUEST], [line("Ada Byron comes from"), line("ada byron comes  from")], 5, "fewshot")
    assert (len(cleaned.paraphrases), cleaned.dropped["duplicate"], cleaned.shortfall) == (1, 1, 4)


def test_with_both_methods_prefixed_prompts_fill_up_what_lines_leave() -> None:
    lines = [line(f"Ada Byron {word} in") for word in ("lived", "sang", "slept")]
    prefixed = [line(f"It {word}. Ada Byron was born in", "prefix") for word in ("rains", "snows", "hails", "pours")]
    cleaned = clean([REQUEST], [*lines, *prefixed], 4, "both")
    assert [paraphrase.kind for paraphrase in cleaned.paraphrases] == ["fewshot", "fewshot", "prefix", "prefix"]
    cleaned = clean([REQUEST], [*lines[:1], *prefixed], 4, "both")
    assert [paraphrase.kind for paraphrase in cleaned.paraphrases] == ["fewshot", "prefix", "prefix", "prefix"]


@given(st.lists(st.text("ab, .", min_size=1, max_size=12), max_size=8), st.integers(0, 6))
def test_no_evaluation_prompt_and_no_more_than_n_pass(texts: list[str], n: int) -> None:
    request = replace(REQUEST, subject="a", prompt="a b b", target_new="zz", target_true=None, paraphrases=("a b a",))
    cleaned = clean([request], [line(text) for text in texts], n, "fewshot")
    assert len(cleaned.paraphrases) <= n
    for paraphrase in cleaned.paraphrases:
        assert f" {normalize(paraphrase.text)} " not in " a b a "
        assert " a b a " not in f" {normalize(paraphrase.text)} "


def test_a_continuation_is_read_up_to_its_last_whole_line() -> None:
    text = " Ada comes from\n2) Paraphrased: Ada hails from\nsomething else\n3) Paraphrased: Ada is cut"
    assert prompt.parse(text) == ["Ada comes from", "Ada hails from"]
    assert prompt.parse(text + "\nINPUT: Bob\n1) Paraphrased: Bob is\n")[-1] == "Ada is cut"


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_text_does_not_depend_on_what_else_is_in_the_call(family: str) -> None:
    engine = TransformersGenerator(tiny_model(family), byte_tokenizer())
    prompts = [Prompt(text=f"fact {'x' * (index % 5)}", seed=index) for index in range(23)]
    sampling = Sampling(max_tokens=12, temperature=1.0, top_k=0)
    together = engine.generate("shared ", prompts, sampling)
    assert [engine.generate("shared ", [prompt], sampling)[0] for prompt in prompts] == together
    assert engine.generate("shared ", prompts[::-1], sampling) == together[::-1]
    assert len(set(together)) > len(together) // 2


def test_greedy_continuations_are_those_of_transformers_and_stop_texts_end_them() -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    engine = TransformersGenerator(model, tokenizer)
    sampling = Sampling(max_tokens=10, temperature=1.0, top_k=0, greedy=True)
    (text,) = engine.generate("ab", [Prompt(text="cd", seed=0)], sampling)
    ids = tokenizer("abcd", return_tensors="pt").input_ids
    expected = model.generate(ids, max_new_tokens=10, do_sample=False, pad_token_id=0)[0, ids.shape[1] :]
    assert text == tokenizer.decode(expected, skip_special_tokens=True)
    stop = text[3:5]
    (stopped,) = engine.generate("ab", [Prompt(text="cd", seed=0)], replace(sampling, stop=(stop,)))
    assert stopped == text[: text.index(stop)]


def test_an_empty_prompt_begins_with_the_end_of_text_token() -> None:
    engine = TransformersGenerator(tiny_model("gpt2"), byte_tokenizer())
    (text,) = engine.generate("", [Prompt(text="", seed=3)], Sampling(max_tokens=4, temperature=1.0, top_k=5))
    assert isinstance(text, str)
    assert text
