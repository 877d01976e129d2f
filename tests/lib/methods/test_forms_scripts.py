# ruff: noqa: E501, RUF001 - texts in many scripts
"""Forms and continuations in scripts without spaces, and of facts whose file says how they are joined."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from lib.core.joins import Separator
from lib.core.records import Paraphrase, Request
from lib.edits.contexts import Contexts
from lib.generation.texts import TransformersGenerator
from lib.methods.training.forms import continuations, subject_span, without_words
from lib.methods.training.pairs import training_items, training_rows
from lib.models.tokens import encode_edits
from lib.scoring.prompts import scored_prompts
from tests.helpers.models import byte_tokenizer

TOKENIZER = byte_tokenizer()
REQUEST = Request(
    request_id="1", dataset="own", subject="北塔", relation=None, prompt="北塔的建筑师是", template=None, target_new="李明",
    target_true="王强", paraphrases=("设计北塔的人是",),
)  # fmt: skip


@pytest.mark.parametrize(
    ("target", "text", "left"),
    [
        ("李明", "，他在北京", "，他在北京"), ("李明", "的妻子", "的妻子"), ("ローマ", "です", "です"), ("ローマ", "ンです", "です"),
        ("โรม", "เป็นเมือง", "เป็นเมือง"), ("로마", "입니다", "입니다"), ("राम", "ा है", " है"), ("Rome", "ns are", " are"),
        ("Рим", "ляне жили", " жили"),
    ],
)  # fmt: skip
def test_a_continuation_keeps_its_words_where_no_spaces_stand(
    target: str, text: str, left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TransformersGenerator, "generate", lambda self, *rest: [text])
    request = replace(REQUEST, target_new=target)
    model: Any = None  # what it would write is given
    assert continuations(model, TOKENIZER, [request], 4, seed=1) == {"1": left}


def test_leaving_words_out_puts_no_space_where_none_is_written() -> None:
    texts = {without_words("设计北塔的人是", "北塔", Random(seed)) for seed in range(50)}
    assert texts == {"设计北塔的人是", "设计北塔", "北塔的人是", "北塔"}
    assert "프랑스의 수도는" in {without_words("프랑스의 수도는", "프랑스", Random(seed)) for seed in range(50)}


def test_a_subjects_span_is_that_of_whole_words() -> None:
    prompt = "Java came before JavaScript"
    span = subject_span(TOKENIZER, prompt, "Java", 99)
    assert span is not None
    assert span[0] == 0


@pytest.mark.parametrize(("separator", "between"), [(None, ""), ("space", " "), ("nothing", "")])
def test_training_and_scoring_join_as_the_file_says(separator: Separator | None, between: str) -> None:
    request = replace(REQUEST, separator=separator)
    paraphrase = Paraphrase(request_id="1", kind="given", text="谁设计了北塔：", seed=0)
    rows = list(training_rows([request], [paraphrase], []))
    items = [*training_items(TOKENIZER, rows, mask_prompt=True, rejected=False), *encode_edits(TOKENIZER, [request])]
    targets = [TOKENIZER.decode([*item.targets[0]]) for item in items]
    assert targets == [between + "李明"] * 3
    assert [prompt.separator for prompt in scored_prompts([request], Contexts())] == [separator, separator]
