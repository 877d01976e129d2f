"""Errata without DVC: facts corrected in a model that is already in memory, scored, saved, loaded and taken away.

The same code as the pipeline's, with fewer steps: paraphrases are those of the facts and of grammar, neighbors are
drawn at random, nothing is cached. What is not an argument stands in params.yaml and configs/models/<preset>.yaml.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.core import params
from lib.core.editor_presets import editor_preset
from lib.core.errors import InputError
from lib.core.records import Fact, Paraphrase, Request, Text, UneditedFact
from lib.core.tables import Streamed, read, write, write_parts
from lib.data.dataset import Loaded, is_duplicate
from lib.editors import editor, needs
from lib.edits import apply, edit, store
from lib.handover.bases import base_of, named_model
from lib.handover.bundle import row_of
from lib.handover.facts import checked_facts
from lib.handover.hub import pushed
from lib.handover.judging import ScoreFiles, judged, rescore
from lib.methods.context import Context
from lib.metrics import consistency
from lib.models.architecture import shape
from lib.models.loading import load_model, load_tokenizer
from lib.neighbors.overlap import without_overlap
from lib.neighbors.retrieval import neighbor_tables, random_neighbors
from lib.paraphrases.candidates import by_rules, given
from lib.paraphrases.cleaning import clean
from lib.paraphrases.nearness import distances, nearest
from lib.runtime.distributed import Distributed
from lib.runtime.machine import device
from lib.scoring.known import statements
from lib.scoring.recall import recalled

FactRows = Sequence[Mapping[str, Any] | Request] | str | Path
"""Facts as rows with `prompt` and `target_new` (docs/own-facts.md), or the path of a file of them."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What is changed in a model, apart from the model.

    >>> edit = Edit.load("corrected")                             # doctest: +SKIP
    >>> with edit.applied(model):                                 # doctest: +SKIP
    ...     model.generate(...)
    """

    updates: edit.Edit
    model: PreTrainedModel | None = None
    """The model that it was made for; needed to save it as a PEFT adapter."""
    preset: params.Model | None = None
    """With the adapter that was trained."""
    folder: Path | None = None
    """Where it was loaded from."""

    def applied(self, model: nn.Module) -> AbstractContextManager[nn.Module]:
        """Within it, `model` computes with the edit; afterwards it is what it was, to the bit.

        Raises InputError where the edit does not fit the model, is text that goes before prompts, or has a scope.
        """
        if self.updates.contexts or self.updates.notes is not None:
            raise InputError(
                f"the edit by {self.updates.info.get('editor', 'this editor')} is text before prompts, which a model "
                "alone does not see: errata.score(...) puts it there, and `errata ask` does"
            )
        if self.updates.scope is not None:
            raise InputError(
                "the edit is in force for prompts near its facts alone (scope.json), and a model does not tell them "
                "apart: errata.score(...) does, and `errata ask`"
            )
        return apply.applied(model, self.updates)

    def save(self, folder: str | Path) -> Path:
        """Write it to a folder, as a PEFT adapter where it is one; the folder.

        Raises InputError where a value is not finite.
        """
        target = Path(folder)
        if self.folder is not None:
            shutil.copytree(self.folder, target, ignore=shutil.ignore_patterns(".*"), dirs_exist_ok=True)
        elif self.model is not None and self.preset is not None:
            store.save_edit(self.updates, target, self.model, self.preset)
        else:
            store.write_edit(self.updates, target)
        return target

    def push(self, repository: str, *, private: bool = True, token: str | None = None) -> str:
        """Upload it to the Hugging Face hub as a PEFT adapter, with the card where it has one; the page's address.

        Args:
            repository: `name/of-the-adapter`; made where it is not there.
            private: whether only its owners see it.
            token: of the hub; None = that of `hf auth login`.

        Raises InputError where a value is not finite, or the hub refuses.
        """
        with TemporaryDirectory() as folder:
            return pushed(self.save(folder), repository, private, token)

    @classmethod
    def load(cls, folder: str | Path) -> "Edit":
        """That of a folder that `save`, `errata fix` or PEFT wrote. Raises FileNotFoundError where there is none."""
        return cls(updates=store.load_edit(Path(folder)), folder=Path(folder))


def load(model: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A model by name, fetched where it is not on this machine, in its preset's dtype, and its tokenizer.

    Args:
        model: a preset of configs/models/ (`smollm2-135m`), a folder as transformers stores it, or a GGUF file.

    Raises InputError where it is none of these.
    """
    base = base_of(named_model(model))
    return load_model(base, device()), load_tokenizer(base)


def fix(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, facts: FactRows, *, preset: str = "folder",
    editor_name: str = "lora", pool: str = "none", pool_limit: int | None = 500, encoder: str | None = None,
    seed: int = 0,
) -> Edit:  # fmt: skip
    """Correct facts in a model; the model itself stays as it is.

    >>> from errata import fix
    >>> facts = [{"prompt": "The capital of Australia is", "target_new": "Canberra", "subject": "Australia"}]
    >>> edit = fix(model, tokenizer, facts, preset=preset)
    >>> with edit.applied(model):
    ...     text = model.generate(**tokenizer("The capital of Australia is", return_tensors="pt"), max_new_tokens=3)

    Args:
        preset: of configs/models/: how a model of this kind is trained (`smollm2-135m`, `gpt2-xl`, `folder`, ...).
        editor_name: of configs/editors/; one that needs statistics or a network of the pipeline's is refused.
        pool: dataset whose unedited facts, as far as the model knows them, are trained beside the edits: `almanac`,
            `world` or `none`.
        pool_limit: so many of them are asked for; None = all.
        encoder: a sentence encoder that is on this machine (`minilm`, as `errata fix` has it, or a folder), which finds
            words that ask for each fact; None = facts are trained without those.
        seed: of training and of the draw of neighbors.

    Raises InputError where a fact, a name, or the fit of the preset's adapter to the model is wrong.
    """
    values = params.preset("models", preset, params.Model)
    recipe = params.training(params.section("train", params.Train).model_copy(update={"seed": seed}), values)
    values = values.model_copy(update={"lora": recipe["lora"]})
    loaded = _loaded(facts, pool, pool_limit)
    if needs(editor_name).second_moments or needs(editor_name).hypernet:
        raise InputError(f"editor_name: {editor_name} works on what the pipeline prepares: errata fix -S editor=...")
    module = editor(editor_name)
    context = Context(
        paraphrases=_paraphrases(model, tokenizer, loaded.requests),
        neighbors=_neighbors(model, tokenizer, loaded, seed),
        **recipe, pool=loaded.pool,
        texts=[text.text for text in loaded.text if text.split == "train"]
        if recipe["held"] or recipe["train"].text else [],
        distributed=Distributed(), progress=lambda steps: steps, checkpoints=None, record=lambda steps: None,
        encoder=encoder,
    )  # fmt: skip
    settings = editor_preset(editor_name, shape(model.config), module.Settings)
    return Edit(updates=module.edit(model, tokenizer, loaded.requests, settings, context), model=model, preset=values)


def score(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, facts: FactRows, edit: Edit) -> dict[str, Any]:
    """The headline of an edit on these facts, as metrics/evaluate.json has it: before, after, and what it cost.

    >>> from errata import score
    >>> headline = score(model, tokenizer, facts, edit)
    >>> 0 <= headline["exact_match"] <= 100
    True

    Raises InputError where a fact is wrong.
    """
    loaded = _loaded(facts, "none", None)
    with TemporaryDirectory() as folder:
        files = ScoreFiles(folder=Path(folder))
        write(files.requests, Request, loaded.requests)
        write(files.text, Text, [text for text in loaded.text if text.split == "heldout"])
        consistency.write(files.frequencies, consistency.fit(text.text for text in loaded.text))
        scoring = params.section("score", params.Scoring)
        rescore(files, files, edit.updates, model, tokenizer, scoring, lambda batches, name: batches)
        return judged(files, files)


def _loaded(facts: FactRows, pool: str, pool_limit: int | None) -> Loaded:
    """The facts, checked as the pipeline checks a file, with pool and plain text; a wrong fact is an error."""
    with TemporaryDirectory() as folder:
        path = Path(facts) if isinstance(facts, str | Path) else Path(folder) / "facts.jsonl"
        if not isinstance(facts, str | Path):
            rows = [row_of(fact) if isinstance(fact, Request) else dict(fact) for fact in facts]
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        loaded = checked_facts(path, pool, pool_limit)
    faulty = [reject for reject in loaded.rejects if not is_duplicate(reject)]
    if faulty or not loaded.requests:
        problems = "; ".join(f"fact {reject.line}: {reject.field}: {reject.reason}" for reject in faulty[:3])
        raise InputError(f"facts: {problems or 'wanted at least one; found none'}")
    return loaded


def _paraphrases(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Request]
) -> list[Paraphrase]:
    """Those that came with the facts, then those of grammar that are near the prompts, as stage paraphrase has them."""
    para = params.section("para", params.Para)

    def measure(prompts: Sequence[str], texts: Sequence[Sequence[str]]) -> Any:
        return distances(model, tokenizer, prompts, texts, para.micro_batch_tokens)

    near = nearest(requests, by_rules(requests), para, measure).paraphrases
    return list(clean(requests, [*given(requests), *near], para.n, "rewrite").paraphrases)


def _neighbors(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, loaded: Loaded, seed: int
) -> list[UneditedFact]:
    """Facts of the pool that the model knows and no prompt of the facts asks for, at random."""
    settings = params.section("neighbors", params.Neighbors)
    pairs = statements([], loaded.pool)
    micro = params.section("recall", params.Recall).micro_batch_tokens
    knows = dict(zip(pairs, recalled(model, tokenizer, pairs, micro), strict=True))
    known_facts = [fact for fact in loaded.pool if knows[fact.prompt, fact.target]]
    if not known_facts:
        return []
    with TemporaryDirectory() as folder:
        path, table = Path(folder) / "pool.parquet", Path(folder) / "neighbors.parquet"
        write(path, Fact, known_facts)
        pool = Streamed(path=path, kind=Fact)
        usable = without_overlap(loaded.requests, pool)
        drawn_rows = random_neighbors(loaded.requests, usable.rows, settings.n, seed)
        write_parts(table, UneditedFact, neighbor_tables(loaded.requests, pool, drawn_rows))
        return read(table, UneditedFact)
