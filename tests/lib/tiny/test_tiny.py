"""The tiny model: its tokenizer keeps words whole, its training learns, and the same seed gives the same bytes."""

from dataclasses import replace
from random import Random

import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.core import params
from lib.data import world
from lib.paraphrases import prompt
from lib.scoring.known import statements
from lib.scoring.recall import recalled
from lib.tiny import corpus, model

SHAPE = params.Tiny(
    hidden=32, layers=2, heads=2, inner=64, max_vocabulary=3000, longest=120, step_tokens=256, steps=12, lr=5e-3,
    fewshot_share=0.3,
)  # fmt: skip
WORLD = world.make_world(1)
REQUESTS, POOL = world.requests(WORLD, "test", 1)[:2], world.pool(WORLD)[:3]
CORPUS = corpus.corpus(REQUESTS, POOL, world.text(1)[:40] + world.text(1)[-40:])
TOKENIZER = model.make_tokenizer(CORPUS.every_text(), 3000)


@given(st.text(max_size=30))
def test_any_text_survives_the_tokenizer(text: str) -> None:
    ids = TOKENIZER(text).input_ids
    assert ids[0] == TOKENIZER.bos_token_id
    decoded = TOKENIZER.decode(ids[1:])
    assert decoded == text or decoded == f" {text}"


def test_every_word_of_the_dataset_is_one_token() -> None:
    for request in REQUESTS:
        assert len(TOKENIZER(request.prompt).input_ids) == 1 + len(request.prompt.replace(",", " ,").split())


def test_documents_about_paraphrases_are_learned_after_their_input_only() -> None:
    document = CORPUS.paraphrases(Random(0))
    assert document.context.endswith("1) Paraphrased:")
    assert document.target.count("Paraphrased:") == 4


def test_the_words_of_the_paraphrase_prompt_stay_whole_however_many_words_the_dataset_has() -> None:
    texts = [*CORPUS.every_text(), *(f" often{n} often{n} often{n}" for n in range(3000))]
    crowded, with_prompt_words = (model.make_tokenizer(texts, 3000, always) for always in ((), CORPUS.shared_text()))
    words = len(TOKENIZER(prompt.shared_prefix()).input_ids)
    assert len(with_prompt_words) == len(crowded) == 3000
    assert (
        len(with_prompt_words(prompt.shared_prefix()).input_ids)
        == words
        < len(crowded(prompt.shared_prefix()).input_ids)
    )


def test_a_document_that_is_cut_off_does_not_teach_that_a_text_ends_there() -> None:
    document = CORPUS.paraphrases(Random(0))
    ids = TOKENIZER(document.context + document.target).input_ids
    for longest in (len(ids) - 1, len(ids), len(ids) + 1):
        (item,) = model._step_items(iter([document]), TOKENIZER, 1, longest)
        read = [*item.prompt, *item.targets[0]]
        assert read == [*ids, TOKENIZER.eos_token_id][:longest]


def test_a_phrasing_that_is_alone_is_rewritten_by_one_wrapper_a_line() -> None:
    alone = corpus.Phrasings(templates=("The heir of {} is",), subjects=("Rix",))
    document = replace(CORPUS, phrasings=(alone,)).paraphrases(Random(0))
    lines = prompt.parse(document.target.removeprefix("1) Paraphrased:") + "\n")
    assert len(lines) == len(set(lines)) == 5
    assert all(len(line) <= len("According to the records, The heir of Rix is") for line in lines)


def test_training_learns_and_the_same_seed_gives_the_same_weights() -> None:
    models = [model.make_model(SHAPE, len(TOKENIZER), seed=3) for _ in range(2)]
    losses = [model.train(untrained, TOKENIZER, CORPUS, SHAPE, 3, lambda steps: steps) for untrained in models]
    assert losses[0] == losses[1]
    assert losses[0][-1] < 0.9 * losses[0][0]
    assert all(torch.equal(a, b) for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True))
    assert len(recalled(models[0], TOKENIZER, statements(REQUESTS, POOL), 512)) == len(statements(REQUESTS, POOL))
