"""Stage `abilities` on a tiny random model, for tests: what the stages before it leave, and a run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from lib.core import params
from lib.core.files import write_json
from lib.core.records import Fact, Paraphrase, Request, Text
from lib.core.tables import write
from lib.edits.edit import Edit
from lib.edits.store import save_edit
from lib.edits.updates import Dense
from lib.models.manifest import MANIFEST
from stages import abilities
from tests.helpers.models import VOCABULARY, byte_tokenizer
from tests.helpers.stages import change_params, run_main

EDITED = "model.layers.1.mlp.down_proj"
EVERYWHERE = {"encoder": None, "threshold": 0.7}
"""The scope of an edit that is in force for every prompt."""


def write_inputs(folder: Path) -> None:
    """What the stages before leave in `folder`: tables, a base model, and an edit of one matrix."""
    facts = [
        Fact(
            fact_id=f"{number}", subject=f"S{number}", relation="city", prompt=f"The city of S{number} is", target=city
        )
        for number, city in enumerate(("Oslo", "Rome", "Bern", "Lima") * 3)
    ]
    write(folder / "pool.parquet", Fact, facts)
    texts = [Text(text=f"The road to town {n} is long.", split="heldout" if n < 6 else "train") for n in range(9)]
    write(folder / "text.parquet", Text, texts)
    write_request(folder, "A is")
    write(folder / "paraphrases.parquet", Paraphrase, [])
    _write_model(folder / "base")
    write_edit(folder / "edit", 0.5)


def write_request(folder: Path, prompt: str) -> None:
    """Three times the request whose edit this is."""
    request = Request(
        request_id="1", dataset="own", subject=None, relation=None, prompt=prompt, template=None, target_new="b",
        target_true=None,
    )  # fmt: skip
    write(folder / "requests.parquet", Request, [request] * 3)


def _write_model(folder: Path) -> None:
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config)
        for parameter in model.parameters():
            parameter.data.normal_(std=0.2) if parameter.dim() > 1 else None
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    write_json(folder / MANIFEST, {"source": "tiny", "name": "tiny", "revision": None, "dtype": "float32", "files": {}})


def write_edit(folder: Path, size: float) -> None:
    """A random edit of one matrix."""
    delta = torch.randn(32, 48, generator=torch.Generator().manual_seed(0)) * size
    edit = Edit(updates={EDITED: Dense(delta=delta)}, info={"editor": "test"})
    save_edit(edit, folder, None, params.preset("models", "tiny", params.Model))


def run_tasks(
    project: Path, monkeypatch: pytest.MonkeyPatch, tasks: list[str], *, scope: Mapping[str, Any] = EVERYWHERE,
    **changes: Any,
) -> dict[str, Any]:  # fmt: skip
    """Run the stage with these settings; what it writes to results/abilities.json."""
    settings = {"mode": "corrected", "limit": None, "seed": 0, "folder": None, "text_tokens": 20,
            "micro_batch_tokens": 8192, "checkpoints": True}  # fmt: skip
    change_params(monkeypatch, abilities={"tasks": tasks} | settings | changes, scope=scope)
    monkeypatch.setenv("DVC_ROOT", str(project))
    files = {name: f"{name}.parquet" for name in ("requests", "pool", "text", "paraphrases", "abilities")}
    files |= {"model": "base", "edit": "edit", "results": "results", "metrics": "metrics.json",
               "figures": "figures.json"}  # fmt: skip
    run_main(abilities, {name: project / path for name, path in files.items()})
    figures: dict[str, Any] = json.loads((project / "figures.json").read_text())
    metrics = json.loads((project / "metrics.json").read_text())
    headline = {name: task["after"] for name, task in figures["tasks"].items() if "after" in task}
    assert metrics == headline
    return figures
