"""The eight tasks' files, prompts and answers, on three made-up examples each: prompts hold to the character."""

import json
from pathlib import Path
from typing import Any

import pytest

from lib.abilities import documents as ability_data
from lib.abilities import harness

CONLL = """-DOCSTART- -X- -X- O

Ann NNP B-NP B-PER
Lee NNP I-NP I-PER
left VBD B-VP O
Oslo NNP B-NP B-LOC
, , O O
Norway NNP B-NP B-LOC
. . O O

Acme NNP B-NP B-ORG
Ltd NNP I-NP I-ORG
Swiss JJ I-NP B-MISC
arm NN I-NP O

Hello UH O O
Bo NNP B-NP B-PER
"""


def write_files(folder: Path) -> Path:
    """Three records of each dataset in the published formats, and one file more for RTE's training split."""
    lines: dict[str, list[dict[str, Any]]] = {
        "gsm8k_test.jsonl": [
            {"question": "Two and two?", "answer": "2+2=<<2+2=4>>4\nSo it is 4.\n#### 4"},
            {"question": "A dozen dozens?", "answer": "12*12=144\n#### 144"},
            {"question": "Cost of a {car}?", "answer": "It is $1,000.\n#### 1,000"},
        ],
        "nq_test_with_passages.jsonl": [
            {"question": "who won", "answer": ["Ann", "Ann Lee"], "output": ["\n\nAnn won in 1999."]},
            {"question": "when was it", "answer": ["1999"], "output": ["It was\nlate."]},
            {"question": "what is it", "answer": ["a boat"], "output": [" A ship. "]},
        ],
        "boolq_dev.jsonl": [
            {"question": "is ice cold", "title": "Ice", "answer": True, "passage": "Ice is cold."},
            {"question": "is fire cold", "title": "Fire", "answer": False, "passage": "Fire burns."},
            {"question": "do cats fly", "title": "Cat", "answer": False, "passage": 'Cats walk; "birds" fly.'},
        ],
        "mutual_dev.jsonl": [
            {"answers": right, "options": ["m : a .", "m : b .", "m : c .", "m : d ."], "article": f"f : {sentence} ?"}
            for right, sentence in (("A", "where"), ("C", "when"), ("D", "who"))
        ],
    }
    for name, rows in lines.items():
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    dialogues = [("A: Hi\r\nB: Bye", "A and B meet. "), ("A: Tea?\nB: No.", "No tea."), ("A: {x}", "x.")]
    samsum = [{"id": "1", "summary": summary, "dialogue": dialogue} for dialogue, summary in dialogues]
    (folder / "samsum_test.json").write_text(json.dumps(samsum))
    snippets = [("a fine film . ", "1"), ("dull , dull ", "0"), ("moving", "1")]
    (folder / "sst2_dev.json").write_text(
        json.dumps([{"sentence": sentence, "label": label} for sentence, label in snippets])
    )
    header = "sentence1\tsentence2\tlabel\tidx\n"
    rte = 'It rains.\tIt is wet.\t0\t0\n"He said ""no""."\tHe agreed.\t1\t1\nA b.\tC d.\t1\t2\n'
    (folder / "rte_dev.tsv").write_text(header + rte)
    (folder / "rte_train.tsv").write_text('index\tsentence1\tsentence2\tlabel\n0\tA "b.\tC d.\tentailment\n')
    (folder / "conll2003_test.txt").write_text(CONLL)
    return folder


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every task in both readings, by the harness's name."""
    folder = write_files(tmp_path_factory.mktemp("abilities"))
    arguments = {"folder": str(folder), "pool": "", "pool_seed": 0}
    tasks: dict[str, Any] = {}
    for published in (False, True):
        tasks |= harness.load(["eight"], published=published, extra_metadata=arguments, limit=None, seed=0).tasks
    return tasks


_THEREFORE = "Therefore, the answer (arabic numerals) is:"
_READ = "Refer to the passage below and answer the following question. Passage: "
_YES_NO = "Please answer the given question based on the passage. The answer should be exact 'yes' or 'no'. passage: "
_CHOICES = "(A)m : a . (B)m : b . (C)m : c . (D)m : d . A: Among A through D, the answer is"
_TIGHT = "(A)m : a .(B)m : b .(C)m : c .(D)m : d . A: Among A through D, the answer is"
_ENTITY = "Please identify {} Entity from the given text. Text: {} Entity:"
_LABEL = (
    "For each snippet of text, label the sentiment of the text as positive or negative. "
    "The answer should be exact 'positive' or 'negative'. text: {} answer:"
)
_TIGHT_LABEL = _LABEL.replace("text, label", "text,label").replace("negative. The", "negative.The")

PROMPTS: dict[str, list[tuple[str, Any]]] = {
    "reasoning": [
        ("Q: Two and two? A: Let's think step by step.", "4"),
        ("Q: A dozen dozens? A: Let's think step by step.", "144"),
        ("Q: Cost of a {car}? A: Let's think step by step.", "1,000"),
    ],
    "reasoning_published": [
        (f"Q: Two and two? A:Let's think step by step. 2+2=<<2+2=4>>4\nSo it is 4.\n {_THEREFORE}", "4"),
        (f"Q: A dozen dozens? A:Let's think step by step. 12*12=144\n {_THEREFORE}", "144"),
        (f"Q: Cost of a {{car}}? A:Let's think step by step. It is $1,000.\n {_THEREFORE}", "1,000"),
    ],
    "nli": [
        ("It rains. entails the It is wet.. True or False? answer:", "True"),
        ('He said "no". entails the He agreed.. True or False? answer:', "False"),
        ("A b. entails the C d.. True or False? answer:", "False"),
    ],
    "nli_published": [('A "b. entails the C d.. True or False? answer:', "True")],
    "open_qa": [
        (f"{_READ}Ann won in 1999. Question: who won", ["Ann", "Ann Lee"]),
        (f"{_READ}It was\nlate. Question: when was it", ["1999"]),
        (f"{_READ}A ship. Question: what is it", ["a boat"]),
    ],
    "open_qa_published": [
        (f"{_READ}\n\nAnn won in 1999. Question: who won", ["Ann", "Ann Lee"]),
        (f"{_READ}It was\nlate. Question: when was it", ["1999"]),
        (f"{_READ} A ship.  Question: what is it", ["a boat"]),
    ],
    "closed_qa": [
        (f"{_YES_NO}Ice is cold. question: is ice cold answer:", "yes"),
        (f"{_YES_NO}Fire burns. question: is fire cold answer:", "no"),
        (f'{_YES_NO}Cats walk; "birds" fly. question: do cats fly answer:', "no"),
    ],
    "closed_qa_published": [
        (f"{_YES_NO}Ice is cold. question: is ice cold. answer:", "yes"),
        (f"{_YES_NO}Fire burns. question: is fire cold. answer:", "no"),
        (f'{_YES_NO}Cats walk; "birds" fly. question: do cats fly. answer:', "no"),
    ],
    "dialogue": [
        (f"Q: f : where ? Which choice is correct? Answer Choices: {_CHOICES}", "A"),
        (f"Q: f : when ? Which choice is correct? Answer Choices: {_CHOICES}", "C"),
        (f"Q: f : who ? Which choice is correct? Answer Choices: {_CHOICES}", "D"),
    ],
    "dialogue_published": [
        (f"Q: f : where ? Which choice is correct? Answer Chioces: {_TIGHT}", "A"),
        (f"Q: f : when ? Which choice is correct? Answer Chioces: {_TIGHT}", "C"),
        (f"Q: f : who ? Which choice is correct? Answer Chioces: {_TIGHT}", "D"),
    ],
    "summarization": [
        ("A: Hi\nB: Bye TL;DR:", "A and B meet."),
        ("A: Tea?\nB: No. TL;DR:", "No tea."),
        ("A: {x} TL;DR:", "x."),
    ],
    "summarization_published": [
        ("A: Hi\r\nB: Bye\nTL;DR:", "A and B meet. "),
        ("A: Tea?\nB: No.\nTL;DR:", "No tea."),
        ("A: {x}\nTL;DR:", "x."),
    ],
    "ner": [
        (_ENTITY.format(kind, answer), gold)
        for answer, expected in (
            ("Ann Lee left Oslo, Norway.", [["Ann Lee"], ["Oslo", "Norway"], [], []]),
            ("Acme Ltd Swiss arm", [[], [], ["Acme Ltd"], ["Swiss"]]),
            ("Hello Bo", [["Bo"], [], [], []]),
        )
        for kind, gold in zip(("Person", "Location", "Organization", "Miscellaneous"), expected, strict=True)
    ],
    "ner_published": [
        (_ENTITY.format(kind, answer), gold)
        for answer, expected in (
            ("-DOCSTART-", [[], [], [], []]),
            ("Ann Lee left Oslo, Norway.", [["Ann Lee"], ["Oslo", "Norway"], [], []]),
            ("Acme Ltd Swiss arm", [[], [], ["Acme Ltd Swiss"], ["Swiss"]]),  # runs on until the next O
            ("Hello Bo", [[""], [], [], []]),  # the last word of a sentence is lost
        )
        for kind, gold in zip(("Person", "Location", "Organization", "Miscellaneous"), expected, strict=True)
    ],
    "sentiment": [
        (_LABEL.format("a fine film ."), "positive"),
        (_LABEL.format("dull , dull"), "negative"),
        (_LABEL.format("moving"), "positive"),
    ],
    "sentiment_published": [
        (_TIGHT_LABEL.format("a fine film . "), "positive"),
        (_TIGHT_LABEL.format("dull , dull "), "negative"),
        (_TIGHT_LABEL.format("moving"), "positive"),
    ],
}


@pytest.mark.parametrize("name", PROMPTS)
def test_prompts_and_gold_answers_hold_to_the_character(name: str, loaded: dict[str, Any]) -> None:
    task = loaded[name]
    documents = list(task.eval_docs)
    shots = [(task.fewshot_context(document, num_fewshot=0), task.doc_to_target(document)) for document in documents]
    assert shots == PROMPTS[name]


NEW_TOKENS = {"reasoning": 5, "open_qa": 20, "summarization": 25, "ner": 10}


@pytest.mark.parametrize("name", PROMPTS)
def test_every_task_is_zero_shot_greedy_and_bounded(name: str, loaded: dict[str, Any]) -> None:
    config = loaded[name].config
    assert config.num_fewshot == 0
    assert config.generation_kwargs["do_sample"] is False
    assert config.generation_kwargs["max_gen_toks"] == NEW_TOKENS.get(name.removesuffix("_published"), 1)
    rationale = config.generation_kwargs.get("rationale", {"max_gen_toks": 0})
    assert rationale["max_gen_toks"] == (512 if name == "reasoning" else 0)


SCORED: list[tuple[str, int, str, dict[str, Any]]] = [
    ("reasoning", 0, f" 2 and 2 make 5. {_THEREFORE} 4.0", {"solve_rate": 1}),
    ("reasoning", 1, f" 144 {_THEREFORE} 12", {"solve_rate": 0}),
    ("reasoning", 2, f" {_THEREFORE} $1000", {"solve_rate": 1}),
    ("reasoning_published", 0, " 240", {"solve_rate": 1}),
    ("nli", 0, " True", {"accuracy": 1}),
    ("nli", 1, " Falsehood", {"accuracy": 0}),
    ("nli", 2, " false", {"accuracy": 1}),
    ("nli_published", 0, " Untrue", {"accuracy": 1}),
    ("open_qa", 0, " It was Ann Lee.", {"exact_match": 1}),
    ("open_qa", 1, " Long ago", {"exact_match": 0}),
    ("open_qa", 2, " The boat!", {"exact_match": 1}),
    ("open_qa_published", 0, " Nobody", {"exact_match": 1}),
    ("open_qa_published", 1, " Nobody", {"exact_match": 0}),
    ("closed_qa", 0, " yes", {"exact_match": 1}),
    ("closed_qa", 1, " yes", {"exact_match": 0}),
    ("closed_qa", 2, "no", {"exact_match": 1}),
    ("closed_qa_published", 2, "no", {"exact_match": 0}),
    ("dialogue", 0, " A", {"recall_4_at_1": 1}),
    ("dialogue", 1, " Cats", {"recall_4_at_1": 0}),
    ("dialogue", 2, " C", {"recall_4_at_1": 0}),
    ("dialogue_published", 1, " Cats", {"recall_4_at_1": 1}),
    ("summarization", 0, " A and B meet.", {"rouge": 1, "rouge1": 1, "rouge2": 1, "rougeL": 1}),
    ("summarization", 1, " tea", {"rouge": (2 / 3 + 0 + 2 / 3) / 3, "rouge1": 2 / 3, "rouge2": 0, "rougeL": 2 / 3}),
    ("summarization", 2, " nothing", {"rouge": 0, "rouge1": 0, "rouge2": 0, "rougeL": 0}),
    ("summarization_published", 1, " No tea.", {"rouge": 0, "rouge1": 0, "rouge2": 0, "rougeL": 0}),
    ("ner", 0, " Ann Lee", {"f1": (1, 0, 0), "precision": (1, 0, 0), "recall": (1, 0, 0)}),
    ("ner", 1, " Oslo, Ann", {"f1": (1, 1, 1), "precision": (1, 1, 1), "recall": (1, 1, 1)}),
    ("ner", 6, " none", {"f1": (0, 1, 1), "precision": (0, 1, 1), "recall": (0, 1, 1)}),
    ("ner_published", 5, " Oslo to Norwayland", {"f1": (1, 2, 2)}),
    ("ner_published", 12, " nobody", {"f1": (0, 1, 1)}),
    ("sentiment", 0, " positive", {"accuracy": 1}),
    ("sentiment", 1, " negatively", {"accuracy": 0}),
    ("sentiment", 2, " negative", {"accuracy": 0}),
    ("sentiment_published", 1, " negatively", {"accuracy": 1}),
]


@pytest.mark.parametrize(("name", "index", "answer", "expected"), SCORED)
def test_an_answer_to_an_example_scores_what_was_worked_out_by_hand(
    name: str, index: int, answer: str, expected: dict[str, Any], loaded: dict[str, Any]
) -> None:
    scored = loaded[name].process_results(loaded[name].eval_docs[index], [answer])
    assert scored == {metric: pytest.approx(value) for metric, value in expected.items()}


def test_an_entity_begins_at_b_or_where_the_type_changes() -> None:
    words, tags = ["A", "B", "C", "D", "E"], ["I-PER", "I-LOC", "B-LOC", "I-LOC", "O"]
    assert ability_data.entities(words, tags) == [("A", "PER"), ("B", "LOC"), ("C D", "LOC")]


def test_a_missing_file_names_the_folder_and_the_file(tmp_path: Path) -> None:
    arguments = {"folder": str(tmp_path), "pool": "", "pool_seed": 0}
    with pytest.raises(FileNotFoundError, match=r"abilities\.folder.*wanted boolq_dev\.jsonl"):
        harness.load(["closed_qa"], published=False, extra_metadata=arguments, limit=None, seed=0)


def test_a_record_that_does_not_fit_is_named_with_its_place() -> None:
    rows: list[dict[str, Any]] = [{"question": "q", "passage": "p", "answer": answer} for answer in (True, "no")]
    with pytest.raises(ValueError, match=r"boolq\.jsonl: record 2: answer: wanted true or false; found 'no'"):
        ability_data.documents(rows, "boolq", "boolq.jsonl")


def test_a_record_without_a_field_is_named_with_the_field() -> None:
    with pytest.raises(ValueError, match="record 1: the field 'passage' is absent"):
        ability_data.documents([{"question": "q", "answer": True}], "boolq", "boolq.jsonl")


def test_no_folder_and_no_hub_says_what_to_do() -> None:
    arguments = {"folder": None, "pool": "", "pool_seed": 0}
    with pytest.raises(FileNotFoundError, match=r"mutual_dev\.jsonl is on no hub.*abilities\.folder=<folder>"):
        harness.load(["dialogue"], published=False, extra_metadata=arguments, limit=None, seed=0)
