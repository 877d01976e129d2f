"""Forms of an edit, what is held beside it, and the schedule that draws one form a request."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from lib.core import params
from lib.core.records import Fact, LocalityPrompt, Paraphrase, Request, UneditedFact
from lib.data.questions import ORDERS, scored_question
from lib.generation.texts import TransformersGenerator
from lib.methods.training.forms import (
    Forms,
    FormSchedule,
    continuations,
    form_examples,
    forms,
    grouped,
    of_each,
    subject_span,
    with_continuation,
    without_words,
)
from lib.methods.training.kept import Kept, Subjects, chat_prompts, kept_prompts
from lib.methods.training.pairs import StoredExamples, write_examples
from lib.methods.training.sentences import sentences
from lib.models.packing import Item
from tests.helpers.models import byte_tokenizer, tiny_model

TOKENIZER = byte_tokenizer()
REQUESTS = [
    Request(request_id=name, dataset="own", subject=name, relation="home", prompt=f"{name} lives in",
            template="{} lives in", target_new="Rome", target_true="Oslo", paraphrases=(f"The home of {name} is",),
            locality=(LocalityPrompt(prompt="Eve lives in", target="Bonn"),))
    for name in ("Ann", "Bo", "Cy")
]  # fmt: skip
PARAPHRASES = [Paraphrase(request_id="Bo", kind="given", text="Where Bo lives is", seed=0)]
NO_FORMS = Forms(after_text=0, words_left_out=0, questions=0, seed=0)
SENTENCES = ["It rains today.", "The sea is calm now."]


def chat_tokenizer() -> PreTrainedTokenizerBase:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}<assistant>"
    return tokenizer


def test_every_request_stands_in_its_prompt_its_paraphrases_and_after_sentences() -> None:
    trained = forms(TOKENIZER, REQUESTS, PARAPHRASES, SENTENCES, replace(NO_FORMS, after_text=1))
    assert grouped(trained) == [[[0], [], [1]], [[2], [3], [4]], [[5], [], [6]]]
    assert [form.prompt for form in trained if form.kind == "plain"] == [request.prompt for request in REQUESTS]
    assert trained[3].prompt == "Where Bo lives is"
    assert trained[1].prompt in [f"{sentence} Ann lives in" for sentence in SENTENCES]


def test_questions_are_trained_as_plain_text_and_in_the_chat_template_but_not_as_they_are_scored() -> None:
    tokenizer = chat_tokenizer()
    plain = forms(TOKENIZER, REQUESTS[:1], [], SENTENCES, replace(NO_FORMS, questions=9))
    assert {form.kind for form in plain} == {"plain", "question"}
    trained = forms(tokenizer, REQUESTS[:1], [], SENTENCES, replace(NO_FORMS, questions=9))
    questions = [form.prompt for form in trained if form.kind == "question"]
    chats = [form.prompt for form in trained if form.kind == "chat"]
    assert len(questions) == len(chats) == len(ORDERS)
    assert "Question: Complete the sentence: Ann lives in Answer:" in questions
    assert "<user>Complete the sentence: Ann lives in\n<assistant>" in chats
    assert not any(scored_question(REQUESTS[0]) in prompt for prompt in (*questions, *chats))
    (example,) = form_examples(tokenizer, [form for form in trained if form.kind == "chat"][:1], {"Ann": ", Italy."})
    assert tokenizer.decode(list(example.item.targets[0])[: example.learned_tokens]).strip() == "Ann lives in Rome"
    assert example.held_tokens == 1  # whatever plain text goes on with, an answer may end


def test_the_chat_answer_to_a_prompt_that_is_a_question_is_the_object_alone() -> None:
    tokenizer, edit = chat_tokenizer(), replace(REQUESTS[0], prompt="Where does Ann live?")
    trained = forms(tokenizer, [edit], [], SENTENCES, replace(NO_FORMS, questions=1))
    (example,) = form_examples(tokenizer, [form for form in trained if form.kind == "chat"], {"Ann": ", Italy."})
    assert tokenizer.decode(list(example.item.targets[0])[: example.learned_tokens]).strip() == "Rome"


def test_a_form_without_some_words_has_the_subject_and_is_none_that_is_scored() -> None:
    texts = {without_words("In Rome Ann lives with", "Ann", Random(seed)) for seed in range(99)}
    assert {"Ann", "In Ann with", "Rome Ann lives"} <= texts
    assert all(text and "Ann" in text for text in texts)
    assert without_words("Ann", "Ann", Random(0)) is None
    assert without_words("She lives in", "Ann", Random(0)) is None
    request = replace(REQUESTS[0], paraphrases=("Ann lives", "Ann in", "Ann"))
    trained = forms(TOKENIZER, [request], [], SENTENCES, replace(NO_FORMS, words_left_out=9))
    assert [form.kind for form in trained] == ["plain"]


def test_of_each_request_the_first_forms_are_taken() -> None:
    trained = forms(TOKENIZER, REQUESTS, PARAPHRASES, SENTENCES, replace(NO_FORMS, after_text=2))
    assert of_each(trained, 2) == [trained[0], trained[1], trained[3], trained[4], trained[7], trained[8]]


def test_a_step_takes_every_request_in_one_form_and_its_own_prompt_as_often_as_asked() -> None:
    schedule = FormSchedule(
        epochs=200, lr=1.0, batch_size=2, micro_batch_tokens=64, weight_decay=0.0, max_grad_norm=1.0, seed=0,
        groups=[[[0], [], [1]], [[2], [3], [4, 6], [7]], [[5], []]], plain_share=0.3, paraphrase_share=0.5,
    )  # fmt: skip
    assert schedule.steps(8) == 400
    batches = [index for step in range(400) for index in schedule.batch(step, 8)]
    assert len(batches) == 600
    assert (
        sum(index in (0, 1) for index in batches)
        == sum(index in (2, 3, 4, 6, 7) for index in batches)
        == batches.count(5)
        == 200
    )
    assert batches.count(0) / 200 == pytest.approx(0.3, abs=0.1)
    assert batches.count(3) / 200 == pytest.approx(0.5, abs=0.1)
    assert batches.count(7) / 200 == pytest.approx(0.1, abs=0.05)  # others share alike, however many forms they have


def test_the_continuation_is_held_and_the_target_is_not() -> None:
    item, held = with_continuation(TOKENIZER, "Ann lives in", "Rome", ", Italy.")
    (target,) = item.targets
    assert TOKENIZER.decode(target[:-held]) == " Rome"
    assert TOKENIZER.decode(target[-held:-1]) == ", Italy."
    assert target[-1] == TOKENIZER.eos_token_id
    assert with_continuation(TOKENIZER, "Ann lives in", "Rome", "")[1] == 1


def test_a_continuation_makes_no_word_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["ns are many", ", Italy", "2 in 1999"]
    monkeypatch.setattr(TransformersGenerator, "generate", lambda self, *rest: texts)
    written = continuations(tiny_model("llama"), TOKENIZER, REQUESTS, 4, seed=1)
    assert list(written.values()) == [" are many", ", Italy", " in 1999"]


def test_continuations_depend_on_the_request_and_the_seed_alone() -> None:
    model = tiny_model("llama")
    first = continuations(model, TOKENIZER, REQUESTS, 4, seed=1)
    alone = continuations(model, TOKENIZER, REQUESTS[1:2], 4, seed=1)
    assert alone["Bo"] == first["Bo"]
    assert continuations(model, TOKENIZER, REQUESTS, 0, seed=1) == {"Ann": "", "Bo": "", "Cy": ""}


def test_the_subject_is_found_where_it_stands_last() -> None:
    span = subject_span(TOKENIZER, "Ann and Ann live", "Ann", 99)
    assert span is not None
    ids = TOKENIZER("Ann and Ann live").input_ids
    assert TOKENIZER.decode(ids[span[0] : span[1]]).strip() == "Ann"
    assert span[0] > 2
    assert subject_span(TOKENIZER, "She lives", "Ann", 99) is None
    assert subject_span(TOKENIZER, "She lives", None, 99) is None


def test_examples_are_stored_and_read_back_with_what_they_hold(tmp_path: Path) -> None:
    after = {request.request_id: ", Italy." for request in REQUESTS}
    trained = forms(TOKENIZER, REQUESTS, PARAPHRASES, SENTENCES, replace(NO_FORMS, after_text=2))
    examples = list(form_examples(TOKENIZER, trained, after))
    write_examples(tmp_path, examples)
    assert list(StoredExamples.of(tmp_path)) == examples


def test_kept_prompts_are_the_unedited_facts_and_the_template_about_other_subjects_but_none_that_is_evaluated() -> None:
    unedited = [
        UneditedFact(request_id=request_id, fact_id="f", rank=0, similarity=None, prompt=prompt, target="x")
        for request_id, prompt in (("Ann", "Dan owns"), ("Bo", "Eve lives in"))
    ]
    pool = [
        Fact(fact_id=name, subject=name, relation="home", prompt=f"{name} is", target="x")
        for name in ("Dan", "Eve", "Fay")
    ]
    prompts = kept_prompts(REQUESTS, unedited, Subjects.of(pool, REQUESTS), contrasts=5, seed=0)
    assert prompts[0] == "Dan owns"
    assert sorted(prompts[1:]) == ["Dan lives in", "Fay lives in"]  # Eve is in an evaluation prompt


def test_without_a_relation_the_template_is_about_the_subjects_of_similar_facts_first() -> None:
    request = replace(REQUESTS[0], relation=None, template="The {} lives in", prompt="The Ann lives in")
    pool = [
        Fact(fact_id=name, subject=name, relation="home", prompt=f"{name} is", target="x")
        for name in ("Dan", "the Fox", "Gus", "eve")
    ]
    similar = UneditedFact(request_id="Ann", fact_id="the Fox", rank=0, similarity=0.9, prompt="the Fox is", target="x")
    prompts = kept_prompts([request], [similar], Subjects.of(pool, [request]), contrasts=1, seed=0)
    assert prompts == ["the Fox is", "The Fox lives in"]
    assert sorted(kept_prompts([request], [similar], Subjects.of(pool, [request]), contrasts=9, seed=0)[1:]) == [
        "The Dan lives in", "The Fox lives in", "The Gus lives in",
    ]  # fmt: skip


def test_chat_prompts_are_questions_about_unedited_facts_that_no_evaluation_prompt_names() -> None:
    pool = [
        Fact(fact_id=name, subject=name, relation="seat", prompt=f"The seat of {name} is", target="x")
        for name in ("Dan", "Eve")
    ]
    unedited = [
        UneditedFact(request_id="Ann", fact_id=fact.fact_id, rank=0, similarity=None, prompt=fact.prompt, target="x")
        for fact in (*pool, *pool)
    ]
    subjects = Subjects.of(pool, REQUESTS)
    assert chat_prompts(TOKENIZER, unedited, subjects) == []
    assert chat_prompts(chat_tokenizer(), unedited, subjects) == ["<user>What is the seat of Dan?\n<assistant>"]


def test_every_step_holds_its_share_in_turns() -> None:
    item = Item(prompt=(1, 2), targets=((3, 4, 5),))
    held_data = Kept(
        prompts=["a b", "c d", "e f"], texts=["It rains today. It is wet."], chats=(), earlier=[item, item, item]
    )
    held = params.preset("models", "smollm2-135m", params.Model).train.held
    assert held is not None
    counts = {"prompts": 2, "chat_prompts": 2, "texts": 2, "text_tokens": 6, "chats": 3, "earlier": 2}
    settings = held.model_copy(update=counts)
    step = held_data.per_step(TOKENIZER, settings, seed=0)
    examples = [step(number) for number in range(3)]
    assert [len(each) for each in examples] == [5, 5, 5]
    prompts = [example.item.prompt for each in examples for example in each if example.group == "prompts"]
    assert len(prompts) == 6
    assert all(prompts.count(prompt) == 2 for prompt in prompts)
    assert [example.item for example in examples[0] if example.group == "earlier"] == [item, item]
    assert all(example.held_tokens == len(example.item.targets[0]) for each in examples for example in each)


def test_sentences_are_short_and_whole() -> None:
    text = "It rains. The old bridge stands near the river. and then it fell down again. Is it so late already?"
    assert sentences([text, text]) == ["The old bridge stands near the river."]


def test_torch_is_not_seeded() -> None:
    before = torch.random.get_rng_state()
    forms(TOKENIZER, REQUESTS, PARAPHRASES, SENTENCES, NO_FORMS)
    assert torch.equal(before, torch.random.get_rng_state())
