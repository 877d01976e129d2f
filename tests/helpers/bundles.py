"""Folders as `errata fix` writes them, made in seconds: a random model, its facts, an edit of it, and their scores."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from apps.fix import finish
from lib.core.params import Lora, Model, ScopeSettings, preset, read_params
from lib.core.records import Request, Text
from lib.core.tables import write
from lib.edits.adapter import target_modules
from lib.edits.apply import shape_of
from lib.edits.edit import Edit
from lib.edits.scope import scope_of
from lib.edits.store import save_edit
from lib.edits.updates import LowRank
from lib.handover.bundle import Bundle, RunInfo, write_facts
from lib.handover.judging import ScoreFiles, judged, rescore
from lib.handover.recent import remember
from lib.metrics import consistency
from lib.models.loading import load_model, load_tokenizer
from lib.runtime.machine import versions
from tests.helpers.models import CHAT_TEMPLATE, TARGETS, byte_tokenizer, tiny_model
from tests.helpers.small import REQUESTS

LORA = Lora(r=1, alpha=1.0, targets=TARGETS["llama"])
SCORING = {"generations": {"tokens": 8, "top_k": 5, "seed": 0, "limit": 1}, "greedy": {"tokens": 4, "limit": None}}
TEXTS = ["It is a fine day in the town.", "The river is long and the road is short."]


def small_bundle(
    folder: Path,
    requests: Sequence[Request] = REQUESTS,
    strength: float = 0.5,
    edit: Edit | None = None,
    is_latest: bool = True,
    scope: ScopeSettings | None = None,
) -> Bundle:
    """A bundle of these facts with an edit: this one, or of low rank, as large as `strength` says, with this scope.

    `is_latest`: it enters the user's list of edits, which a test that asks for it has put elsewhere.
    """
    from lib.models.fetching import write_manifest

    bundle, files = Bundle(folder=folder), ScoreFiles(folder=folder / "errata" / "scores")
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE
    tiny_model("llama").save_pretrained(bundle.base)
    tokenizer.save_pretrained(bundle.base)
    values = preset("models", "tiny", Model).model_copy(update={"lora": LORA, "tiny": None})
    write_manifest(bundle.base, values)
    model = load_model(bundle.base, torch.device("cpu"))
    edit = edit or small_edit(model, strength)
    edit = replace(edit, scope=scope_of(requests, settings=scope)) if scope else edit
    save_edit(edit, folder, model, values)
    files.folder.mkdir(parents=True)
    write(files.requests, Request, requests)
    write(files.text, Text, [Text(text=text, split="heldout") for text in TEXTS])
    consistency.write(files.frequencies, consistency.fit(TEXTS))
    params = read_params()
    params["score"] = params["score"] | SCORING
    params["scope"] = scope.model_dump() if scope else params["scope"]
    info = RunInfo(
        made_by="fix", date="2026-01-31", model=values.model_dump(), params=params, settings=[], versions=versions(),
        headline={}, sessions=[[request.request_id for request in requests]],
    )  # fmt: skip
    loaded = load_tokenizer(bundle.base)
    rescore(files, files, edit, model, loaded, info.scoring, lambda batches, name: batches)
    write_facts(bundle.facts, requests)
    finish(bundle, info.model_copy(update={"headline": judged(files, files)}))
    if is_latest:
        remember(bundle)
    return bundle


def small_edit(model: torch.nn.Module, strength: float) -> Edit:
    """A random low-rank edit, as LoRA makes one."""
    generator = torch.Generator().manual_seed(round(strength * 100))
    updates = {}
    for path, module in target_modules(model, LORA).items():
        d_out, d_in = shape_of(module)
        left, right = (torch.randn(shape, generator=generator) for shape in ((d_out, 1), (1, d_in)))
        updates[path] = LowRank(left=strength * left, right=right)
    return Edit(updates=updates, info={"editor": "lora"})
