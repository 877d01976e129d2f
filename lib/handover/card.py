"""The model card that goes with an edit, in the form of PEFT's own: front matter, then sections in Markdown."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lib.handover.bundle import Bundle, RunInfo
from lib.metrics.examples import AnswerExample
from lib.metrics.verdict import verdict
from lib.models.manifest import read_manifest
from lib.report.headline import markdown
from lib.report.literal import in_markdown

_TOLD = 5
"""Edits in the card: failures first."""
_IN_PEFT = " (`model.disable_adapter()` in PEFT)"
_PLAIN = ("from peft import PeftModel", "from transformers import AutoModelForCausalLM")
_CONVERTED = ("from errata import load", "from peft import PeftModel")
"""What is imported to load the model, as transformers does it or out of another form."""
_BESIDE_WEIGHTS = (
    "It is no adapter that PEFT loads; Errata applies it: `errata ask`, `errata serve FOLDER`, or in Python, beside a "
    "model from transformers:",
    "",
    "```python",
    "from errata import Edit",
    "",
    'with Edit.load("FOLDER").applied(model):',
    "    model.generate(...)",
    "```",
)
_SCOPED = (
    "The edit was measured in force for prompts near its facts alone (scope.json: the facts' prompts, an encoder, the "
    "least cosine), and the model without it for all others. `errata ask`, `errata chat` and `errata serve FOLDER` "
    "tell them apart. Loaded in any other way it is in force for every prompt, and changes more than was measured.",
)
_BEFORE_PROMPTS = (
    "It is no adapter that PEFT loads, but text that goes before prompts: `errata ask`, `errata chat` and `errata "
    "serve FOLDER` put it there, the notes that are near a prompt, or with `--fact ID` that fact's own text.",
)


def write_card(bundle: Bundle, info: RunInfo, examples: Sequence[AnswerExample]) -> str:
    """Write the card of a bundle whose other files are in place; its text."""
    text = card(info, info.facts, examples, read_manifest(bundle.base), bundle)
    bundle.card.write_text(text, encoding="utf-8")
    return text


def card(
    info: RunInfo, facts: int, examples: Sequence[AnswerExample], manifest: Mapping[str, Any], bundle: Bundle
) -> str:
    """The card of an edit.

    Args:
        info: what it was made with, and what was measured.
        facts: how many there are.
        examples: edits with what the model writes before and after, failures first.
        manifest: that of stage base: which model was edited, file by file.
        bundle: says of which kind the edit is: an adapter that PEFT loads, texts, or matrices or a memory of its own.
    """
    is_adapter = bundle.is_adapter
    sections = {
        "What it does": _examples(examples),
        "What was measured": _measured(info),
        "How to load it": _loading(info) if is_adapter else _BEFORE_PROMPTS if bundle.is_text else _BESIDE_WEIGHTS,
        **({"For which prompts": _SCOPED} if bundle.is_scoped else {}),
        "How to undo it": _undoing(is_adapter),
        "What it was made from": _origin(info, manifest),
    }
    lines = [*_front_matter(info, is_adapter), *_opening(info, facts)]
    for title, content in sections.items():
        lines += [f"## {title}", "", *content, ""]
    return "\n".join(lines)


def _front_matter(info: RunInfo, is_adapter: bool) -> list[str]:
    """As huggingface_hub reads it; the licence is the base's, word for word, where its preset names one."""
    values: dict[str, Any] = {"library_name": "peft"} if is_adapter else {}
    values["pipeline_tag"] = "text-generation"
    if info.preset.source == "hub":
        values |= {"base_model": info.preset.name} | ({"base_model_relation": "adapter"} if is_adapter else {})
    if info.preset.terms:
        values |= {"license": "other", "license_name": info.preset.terms}
    values["tags"] = [*(["lora"] if is_adapter else []), "knowledge-editing", "errata"]
    return ["---", *(f"{name}: {json.dumps(value)}" for name, value in values.items()), "---", ""]


def _opening(info: RunInfo, facts: int) -> list[str]:
    """The title, and the verdict with its reasons."""
    judgement = verdict(info.headline)
    return [
        f"# {facts:,} {'fact' if facts == 1 else 'facts'} corrected in {in_markdown(info.preset.name)}",
        "",
        f"Made by `errata {info.made_by}` on {info.date}. **Verdict: {judgement.word}.**",
        *(f"- {reason}" for reason in judgement.reasons),
        *(f"- not measured: {words}" for words in judgement.unmeasured),
        "",
    ]


def _examples(examples: Sequence[AnswerExample]) -> list[str]:
    rows = [
        f"| {_cell(example.prompt)} | {_cell(example.target_new)} | {_cell(example.before)} | {_cell(example.after)} |"
        for example in examples[:_TOLD]
    ]
    return [
        f"{min(_TOLD, len(examples))} of {len(examples)} texts, failures first:",
        "",
        "| prompt | wanted | before | after |",
        "|---|---|---|---|",
        *rows,
    ]


def _measured(info: RunInfo) -> list[str]:
    return [
        *markdown({f"{info.made_by}, {info.date}": info.headline}),
        "",
        "In percent unless the unit is named. Rows of every number: errata/scores/. Another machine computes them "
        "again with `errata verify FOLDER`.",
    ]


def _undoing(is_adapter: bool) -> list[str]:
    return [
        f"Leave it away: the model's own weights were never changed{_IN_PEFT if is_adapter else ''}. A copy of the "
        "model that it was merged into has no way back but the model itself."
    ]


def _loading(info: RunInfo) -> list[str]:
    name, is_converted = info.preset.name, info.preset.source in ("wheel", "gguf")
    lines = [
        "```python",
        *(_CONVERTED if is_converted else _PLAIN),
        "",
        _model_line(info),
        'model = PeftModel.from_pretrained(model, "FOLDER")  # this folder, or its name on the hub',
        "```",
    ]
    if is_converted:
        lines += [
            "",
            f"{in_markdown(name)} is converted out of another form, which transformers alone does not do. `errata "
            "export FOLDER --to OTHER` writes a plain checkpoint of both, which transformers and vLLM load.",
        ]
    return lines


def _model_line(info: RunInfo) -> str:
    """The line of Python that opens the edited model."""
    name, revision, source = info.preset.name, info.preset.revision, info.preset.source
    if source in ("wheel", "gguf"):
        model = str(info.params["model"]) if source == "wheel" else name
        return f"model, tokenizer = load({json.dumps(model)})  # Errata finds and converts it"
    weights = "FOLDER/errata/base" if source == "tiny" else name
    pinned = f", revision={json.dumps(revision)}" if revision else ""
    return f"model = AutoModelForCausalLM.from_pretrained({json.dumps(weights)}{pinned})"


def _origin(info: RunInfo, manifest: Mapping[str, Any]) -> list[str]:
    name, terms = in_markdown(info.preset.name), in_markdown(info.preset.terms or "none named in its preset")
    revision = in_markdown(info.preset.revision or "none: pinned by content")
    weights = [(in_markdown(file), digest) for file, digest in manifest["files"].items() if file.endswith("tensors")]
    return [
        f"- base model: {name} ({info.preset.source}), revision {revision}",
        *(f"  - {file}: sha256 {digest}" for file, digest in weights),
        f"- terms of the base model: {terms}",
        f"- facts: facts.jsonl; trained in {len(info.sessions)} session(s)",
        f"- versions: {', '.join(f'{package} {version}' for package, version in sorted(info.versions.items()))}",
        "- settings, unabridged: errata/run.json",
    ]


def _cell(text: str | None) -> str:
    return in_markdown(text or "") or "(nothing)"
