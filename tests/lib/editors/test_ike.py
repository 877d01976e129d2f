"""Editor ike: contexts made of a pool of unedited facts."""

from dataclasses import replace

import pytest

from lib.core.records import Fact, LocalityPrompt
from lib.editors import ike
from tests.helpers.baselines import REQUESTS, context, nll, same, settings
from tests.helpers.models import byte_tokenizer, tiny_model

HOMES = {"Dan": "Riga", "Eve": "Cairo", "Fay": "Delhi", "Gus": "Accra", "Hal": "Turin"}
SHORT = {"copies": 1, "updates": 1, "retains": 1}
POOL = [
    Fact(
        fact_id=f"home/{name}/{number}", subject=name, relation="home", prompt=template.format(name), target=city,
        template=template,
    )
    for name, city in HOMES.items()
    for number, template in enumerate(["{} lives in", "The home of {} is"])
]  # fmt: skip
REQUEST = replace(REQUESTS[0], locality=(LocalityPrompt(prompt="Gus lives in", target="Accra"),))


def demonstrations(text: str) -> list[tuple[str, str]]:
    """(fact, continued) of every demonstration of a context."""
    parts = [demonstration.removeprefix("New Fact: ").split("\nPrompt: ") for demonstration in text.split("\n\n")]
    return [(fact, continued) for fact, continued in parts]


@pytest.mark.parametrize("convention", ["original", "easyedit"])
def test_an_edit_is_a_text_before_its_prompts(convention: str) -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    model.config.max_position_embeddings = 2048
    how = settings(ike, "ike", **SHORT, convention=convention)
    edit = ike.edit(model, tokenizer, REQUESTS, how, context(POOL))
    assert not edit.updates
    assert edit.contexts.keys() == {request.request_id for request in REQUESTS}
    for request in REQUESTS:
        assert edit.contexts[request.request_id].endswith(
            f"New Fact: {request.prompt} {request.target_new}\nPrompt: "
        )  # fmt: skip
    alone = [ike.edit(model, tokenizer, [request], how, context(POOL)) for request in REQUESTS]
    assert all(
        same(*pair) for pair in zip(alone, ike.edit_each(model, tokenizer, REQUESTS, how, context(POOL)), strict=True)
    )


def written(**changed: object) -> str:
    model = tiny_model("llama")
    model.config.max_position_embeddings = 4096
    how = settings(ike, "ike", **SHORT | changed)
    return ike.edit(model, byte_tokenizer(), [REQUEST], how, context(POOL)).contexts["edit0"]


def test_kinds_come_as_often_as_asked_and_the_edit_itself_comes_last() -> None:
    prompts = demonstrations(written(copies=2, updates=3, retains=4))
    assert prompts[-1] == ("Ada lives in Rome", "")
    assert prompts[-2] == ("Ada lives in Rome", "Ada lives in Rome")
    assert len(prompts) == 2 + 9
    kinds = {"copy": 0, "update": 0, "retain": 0}
    for fact, continued in prompts[:-2]:
        subject = next(name for name in HOMES if name in fact)
        kinds["copy" if fact == continued else "update" if subject in continued else "retain"] += 1
        if subject not in continued:
            continued_subject = next(name for name in HOMES if name in continued)
            assert continued.endswith(HOMES[continued_subject])
        else:
            assert continued.split()[-1] == fact.split()[-1]
    assert kinds == {"copy": 2, "update": 3, "retain": 4}


def test_new_objects_are_another_facts_of_the_relation() -> None:
    for fact, _ in demonstrations(written(copies=4, updates=0, retains=0))[:-2]:
        subject, city = next((name, city) for name, city in HOMES.items() if name in fact)
        assert fact.split()[-1] in {*HOMES.values()} - {city}, subject


def test_nothing_of_the_evaluation_is_shown() -> None:
    text = written(copies=2, updates=2, retains=8)
    assert "Gus" not in text
    assert any(name in text for name in ("Dan", "Eve", "Fay", "Hal"))


def test_the_most_similar_fact_is_the_last_in_the_original_and_the_first_in_easyedit() -> None:
    near = Fact(fact_id="near", subject="Adam", relation="home", prompt="Ada-Mae lives in", target="Sofia")
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    model.config.max_position_embeddings = 4096
    for convention, position in (("original", -3), ("easyedit", 0)):
        how = settings(ike, "ike", copies=3, updates=0, retains=0, convention=convention)
        edit = ike.edit(model, tokenizer, [REQUESTS[0]], how, context([*POOL, near]))
        assert "Ada-Mae" in " ".join(demonstrations(edit.contexts["edit0"])[position])


def test_without_other_phrasings_an_update_is_another_template_else_the_prompt_after_another_fact() -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    model.config.max_position_embeddings = 4096
    how = settings(ike, "ike", copies=0, updates=2, retains=0)
    named = [POOL[0], POOL[3]]
    unnamed = [replace(fact, subject=None, relation=None, template=None) for fact in named]
    for pool, expected in ((named, "Eve lives in"), (unnamed, ". Dan lives in Riga")):
        prompts = demonstrations(ike.edit(model, tokenizer, [REQUESTS[0]], how, context(pool)).contexts["edit0"])
        assert any(expected in continued for _, continued in prompts), prompts


def test_demonstrations_that_do_not_fit_are_left_out_farthest_first_and_counted() -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    how = settings(ike, "ike", copies=4, updates=4, retains=4)
    model.config.max_position_embeddings = 4096
    edit_of_all = ike.edit(model, tokenizer, [REQUEST], how, context(POOL))
    model.config.max_position_embeddings = 400
    short = ike.edit(model, tokenizer, [REQUEST], how, context(POOL))
    assert edit_of_all.info["left_out"] == 0
    assert 0 < short.info["left_out"] < 12
    assert edit_of_all.contexts["edit0"].endswith(short.contexts["edit0"])
    assert nll(model, tokenizer, short, [REQUEST]).isfinite().all()
    model.config.max_position_embeddings = 40
    with pytest.raises(ValueError, match="'edit0': stating it before its longest prompt takes more than the 40 tokens"):
        ike.edit(model, tokenizer, [REQUEST], how, context(POOL))


def test_a_pool_without_facts_is_an_error_only_where_demonstrations_are_asked_for() -> None:
    model, tokenizer = tiny_model("llama"), byte_tokenizer()
    model.config.max_position_embeddings = 4096
    with pytest.raises(ValueError, match=r"'edit0'.*at least 2.*found 1 in a pool of 1"):
        ike.edit(model, tokenizer, [REQUEST], settings(ike, "ike", **SHORT), context(POOL[:1]))
    none = settings(ike, "ike", copies=0, updates=0, retains=0)
    stated = ike.edit(model, tokenizer, [REQUEST], none, context()).contexts["edit0"]
    assert demonstrations(stated) == [("Ada lives in Rome", "Ada lives in Rome"), ("Ada lives in Rome", "")]
