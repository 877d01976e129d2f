"""Sound records of every dataset, as their files have them, before anything is changed in them."""

from typing import Any

_HOMES = {
    "Ada": ("Rome", "Oslo"),
    "Ben": ("Oslo", "Rome"),
    "Cy Young": ("Bonn", "Rome"),
    "Dí": ("Zürich", "Bonn"),
    "李": ("上海", "北京"),
}


def own_rows() -> list[dict[str, Any]]:
    return [
        {
            "prompt": f"{name} lives in",
            "target_new": new,
            "subject": name,
            "target_true": true,
            "relation": "home",
            "id": f"e{number}",
            "paraphrases": [f"The home of {name} is", f"{name} has a house in"],
            "train_paraphrases": [f"{name} is from"],
            "locality": [{"prompt": "Eve lives in", "target": "Pau"}],
            "join": "space",
        }
        for number, (name, (new, true)) in enumerate(_HOMES.items())
    ]


def counterfact() -> list[dict[str, Any]]:
    return [
        {
            "case_id": number,
            "pararel_idx": 7,
            "requested_rewrite": {
                "prompt": "{} lives in",
                "relation_id": "P1",
                "target_new": {"str": new, "id": "Q1"},
                "target_true": {"str": true, "id": "Q2"},
                "subject": name,
            },
            "paraphrase_prompts": [f"The home of {name} is"],
            "neighborhood_prompts": ["Eve lives in", "Dan lives in"],
            "attribute_prompts": ["Hal lives in"],
            "generation_prompts": [f"{name} is"],
        }
        for number, (name, (new, true)) in enumerate(_HOMES.items())
    ]


def zsre() -> list[dict[str, Any]]:
    return [
        {
            "subject": name,
            "src": f"Where does {name} live?",
            "pred": new,
            "rephrase": f"In which town is {name}?",
            "alt": new,
            "answers": [true],
            "loc": "nq question: where does Eve live",
            "loc_ans": "Pau",
            "cond": "a >> b || c",
        }
        for name, (new, true) in _HOMES.items()
    ]


def easyedit() -> list[dict[str, Any]]:
    return [
        {
            "case_id": number,
            "subject": name,
            "prompt": f"{name} lives in",
            "target_new": new,
            "ground_truth": true,
            "rephrase_prompt": f"The home of {name} is",
            "locality_prompt": "Eve lives in",
            "locality_ground_truth": "Pau",
        }
        for number, (name, (new, true)) in enumerate(_HOMES.items())
    ]


def knowedit() -> list[dict[str, Any]]:
    return [
        {
            "subject": name,
            "prompt": f"{name} lives in",
            "target_new": new,
            "ground_truth": [[true]],
            "portability": {},
            "locality": {
                "Relation_Specificity": [{"prompt": f"The father of {name} is", "ground_truth": [["Al", "Albert"]]}],
                "Forgetfulness": [{"prompt": f"{name} lived in", "ground_truth": [["Pau"]]}],
            },
        }
        for name, (new, true) in _HOMES.items()
    ]


def snippets() -> list[dict[str, Any]]:
    return [
        {
            "relation_id": "P1",
            "target_id": f"Q{number}",
            "samples": [{"name": "Rome", "text": "Rome is a town."}, {"name": "Pau", "text": "So."}],
        }
        for number in range(4)
    ]


def mquake() -> list[dict[str, Any]]:
    return [
        {
            "case_id": number,
            "requested_rewrite": [
                {
                    "prompt": "{} lives in",
                    "relation_id": "P1",
                    "target_new": {"str": new, "id": "Q1"},
                    "target_true": {"str": true, "id": "Q2"},
                    "subject": name,
                    "question": f"Where does {name} live?",
                }
            ],
            "questions": [f"Who is the mayor of {name}'s home?", f"Who leads the town of {name}?"],
            "answer": "Al",
            "answer_alias": ["Albert"],
            "new_answer": "Bo",
            "new_answer_alias": ["Bob"],
            "new_single_hops": [
                {
                    "question": f"Where does {name} live?",
                    "cloze": f"{name} lives in",
                    "answer": new,
                    "answer_alias": [],
                },
                {"question": f"Who leads {new}?", "cloze": f"{new} is led by", "answer": "Bo", "answer_alias": ["Bob"]},
            ],
            "orig": {
                "new_triples": [[f"S{number}", "P1", "Q1"], ["Q1", "P2", "Q3"]],
                "edit_triples": [[f"S{number}", "P1", "Q1"]],
            },
        }
        for number, (name, (new, true)) in enumerate(_HOMES.items())
    ]


def _queries(prompt: str, *answers: str) -> list[dict[str, Any]]:
    values = [{"value": answer, "aliases": [f"{answer} A.", answer]} for answer in answers]
    return [{"test_queries": [{"prompt": prompt, "answers": values}], "condition_queries": []}]


def ripple_edits() -> list[dict[str, Any]]:
    return [
        {
            "example_type": "popular",
            "edit": {
                "prompt": f"The name of the home of {name} is {new}.",
                "relation": "HOME",
                "original_fact": {"prompt": f"The name of the home of {name} is {true}."},
            },
            "Relation_Specificity": _queries(f"The trade of {name} is", "baker"),
            "Logical_Generalization": _queries(f"The name of a citizen of {new} is", name, "Al"),
            "Subject_Aliasing": _queries(f"The name of the home of Dr {name} is", new),
            "Compositionality_I": _queries(f"The mayor of the home of {name} is", "Bo"),
            "Compositionality_II": [],
            "Forgetfulness": _queries(f"The name of the other home of {name} is", "Ulm"),
        }
        for name, (new, true) in _HOMES.items()
    ]


def wikibigedit() -> list[dict[str, Any]]:
    """Records as they are released, and one as files made from them have it."""
    released = [
        {
            "tag": "new",
            "subject": name,
            "update": f"Where does {name} live?",
            "ans": new,
            "rephrase": f"In which town is {name}?",
            "personas": f"{name} lives where, mate?",
            "loc": "Where does Eve live?",
            "loc_ans": "Pau",
            "mhop": f"Who is the mayor of {name}'s home?",
            "mhop_ans": "Bo",
        }
        for name, (new, _) in _HOMES.items()
    ]
    return [*released, {key: value for key, value in easyedit()[0].items() if key != "case_id"}]
