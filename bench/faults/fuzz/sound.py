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
