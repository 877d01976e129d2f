"""Small inputs of the stages that edit and score, as files: a random model of seconds, four edits, a pool of facts."""

from pathlib import Path

from lib.core.files import write_json
from lib.core.records import EvaluationPrompt, Fact, LocalityPrompt, Paraphrase, Request, Text, UneditedFact
from lib.core.tables import write
from tests.helpers.models import byte_tokenizer, tiny_model

HOMES = {"Ada": ("Rome", "Oslo"), "Ben": ("Oslo", "Rome"), "Cy": ("Bonn", "Rome"), "Di": ("Rome", "Bonn")}
REQUESTS = [
    Request(
        request_id=f"e{number}", dataset="own", subject=name, relation="home", prompt=f"{name} lives in",
        template="{} lives in", target_new=new, target_true=true, paraphrases=(f"The home of {name} is",),
        locality=(LocalityPrompt(prompt="Eve lives in", target="Pau"),),
    )
    for number, (name, (new, true)) in enumerate(HOMES.items())
]  # fmt: skip
POOL = [
    Fact(fact_id=name, subject=name, relation="home", prompt=f"{name} lives in", target=home, template="{} lives in")
    for name, home in [("Dan", "Riga"), ("Fay", "Bern"), ("Gus", "Lima"), ("Hal", "Nice")]
]


def inputs(folder: Path, family: str = "llama") -> dict[str, Path]:
    """Write every file and folder that lib.protocols.inputs.Inputs names, and `evaluation`; their paths by name."""
    paths = {name: folder / f"data/{name}.parquet" for name in ("requests", "pool", "text", "paraphrases", "neighbors")}
    paths |= {"evaluation": folder / "data/evaluation.parquet", "model": folder / "models/base"}
    paths |= {"statistics": folder / "data/statistics", "hypernet": folder / "models/hypernet"}
    write(paths["requests"], Request, REQUESTS)
    write(paths["pool"], Fact, POOL)
    write(paths["text"], Text, [Text(text="It is a fine day in the town.", split="train")])
    write(paths["paraphrases"], Paraphrase, [])
    write(paths["neighbors"], UneditedFact, [])
    write(paths["evaluation"], EvaluationPrompt, [])
    tiny_model(family).save_pretrained(paths["model"])
    byte_tokenizer().save_pretrained(paths["model"])
    manifest: dict[str, object] = {"source": "tiny", "name": "small", "revision": None, "dtype": "float32", "files": {}}
    write_json(paths["model"] / "manifest.json", manifest)
    for name in ("statistics", "hypernet"):
        write_json(paths[name] / "marker.json", {})
    return paths
