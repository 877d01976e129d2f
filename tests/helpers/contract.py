"""What the contract test sets up: an editor on a tiny random model with all that it may read, in milliseconds."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, OPTConfig

from lib.core.params import Lora, Model
from lib.core.records import Request
from lib.editors import editor
from lib.edits.edit import Edit
from lib.methods.context import Context
from lib.methods.contract import Editor, reads_moments, trains_hypernet
from lib.methods.locating.second_moments import save_moment, second_moments
from lib.models.architecture import architecture
from tests.helpers.baselines import REQUESTS, context, nothing_left_behind, settings
from tests.helpers.hypernets import POOL
from tests.helpers.models import TARGETS, VOCABULARY, byte_tokenizer, tiny_model

FAMILIES = ["gpt2", "gptj", "llama", "neox", "qwen3"]
_VALUES = {"optimisation": {"steps": 12, "lr": 0.5, "weight_decay": 0.0, "kl": 0.0625, "clamp": 20.0, "stop": 0.05,
                            "tokens": 8192}}  # fmt: skip
_LAYERED = _VALUES | {"layers": [0, 1], "context_tokens": 4}
_TUNED = {"layers": "auto", "epochs": 3, "lr": 1e-2}
_TRAINED = {"layers": 2, "hidden": 8, "steps": 24, "batch_size": 4, "lr": 1e-2, "edit_weight": 1.0, "locality": 2,
            "validation": 0.3, "validation_cases": 2, "validation_steps": 24}  # fmt: skip
QUICK: dict[str, dict[str, Any]] = {
    "alphaedit": _LAYERED | {"threshold": 1e9},
    "betaedit": _LAYERED | {"threshold": 1e9, "leakage": 1.0},
    "emmet": _LAYERED,
    "ft": _TUNED,
    "ft_l": _TUNED,
    "ft_w": _TUNED | {"decay": "published"},
    "grace": {"layer": 1, "radius": 0.05, "scale": "relative", "steps": 12, "lr": 0.3},
    "ike": {"copies": 1, "updates": 1, "retains": 1},
    "ke": _TRAINED | {"condition": 8, "max_scale": 50.0},
    "loc_ft": _TUNED,
    "memit": _LAYERED,
    "mend": _TRAINED | {"rank": 4, "hidden": 1, "rate": 0.02},
    "rag": {"encoder": "hashing", "threshold": -1.0},
    "rledit": {
        "down": [1],
        "rate": 2e-3,
        "rank": 4,
        "streams": 2,
        "turns": 2,
        "batch_size": 2,
        "validation": 0.3,
        "validation_turns": 1,
    },
    "r_rome": _VALUES | {"layer": 1},
    "rome": _VALUES | {"layer": 1},
    "ultraedit": {"down": [1], "rate": 2e-3},
}
"""Settings for random models of two layers, over the presets'."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One editor on one model, ready to edit."""

    name: str
    model: Any
    tokenizer: Any
    editor: Editor
    settings: Any
    context: Context
    edit_of_all: Edit
    """Of all REQUESTS at once."""

    def edit(self, requests: Sequence[Request]) -> Edit:
        """What the editor makes of `requests`."""
        new_edit: Edit = self.editor.edit(
            self.model, self.tokenizer, requests, self.settings, self.context.of(requests)
        )
        return new_edit

    def preset(self, model_preset: Model) -> Model:
        """`given` with the adapter that this case trains."""
        return model_preset.model_copy(update={"lora": self.context.lora})

    @contextmanager
    def failing_after(self, calls: int) -> Iterator[list[int]]:
        """Within it, the model is interrupted in its forward pass number `calls` + 1; what is given says so then."""
        embedding = self.model.get_input_embeddings()
        forward, done, failed = embedding.forward, [0], []

        def interrupted(*inputs: Any) -> Any:
            done[0] += 1
            if done[0] > calls:
                failed.append(done[0])
                raise KeyboardInterrupt
            return forward(*inputs)

        embedding.forward = interrupted
        try:
            yield failed
        finally:
            del embedding.forward

    @contextmanager
    def destroyed(self) -> Iterator[None]:
        """Within it, a weight that every forward pass uses is not a number."""
        weight = self.model.get_input_embeddings().weight
        before = weight.detach().clone()
        with torch.no_grad():
            weight.fill_(torch.nan)
        try:
            yield
        finally:
            with torch.no_grad():
                weight.copy_(before)


def case_of(name: str, family: str, folder: Path) -> Case:
    """The editor on the tiny model of `family`; `folder` takes second moments and its trained network."""
    model, tokenizer, module = tiny_model(family), byte_tokenizer(), editor(name)
    how = settings(module, name, **QUICK.get(name, {}))
    shared = context(POOL)
    train = shared.train.model_copy(update={"epochs": 4, "lr": 1e-2, "batch_size": 8})
    own_context = replace(
        shared, train=train, lora=Lora(r=2, alpha=4.0, targets=TARGETS[family]), statistics=folder,
        hypernet=folder / "hypernet",
    )  # fmt: skip
    with nothing_left_behind(model):
        _prepare(model, module, how, own_context, folder)
        new_edit = module.edit(model, tokenizer, REQUESTS, how, own_context)
    return Case(
        name=name,
        model=model,
        tokenizer=tokenizer,
        editor=module,
        settings=how,
        context=own_context,
        edit_of_all=new_edit,
    )


def _prepare(model: Any, module: Editor, how: Any, own_context: Context, folder: Path) -> None:
    """Second moments and a trained network, where the editor reads them."""
    tokenizer = byte_tokenizer()
    if reads_moments(module):
        paths = [architecture(model).mlp_out_of(layer) for layer in module.moment_layers(model, how)]
        texts = [f"{fact.prompt} {fact.target}." for fact in POOL] * 4
        moments = second_moments(model, tokenizer, texts, paths, 4096, folder, lambda parts: parts)
        for path, moment in moments.items():
            save_moment(folder, path, moment)
    if trains_hypernet(module):
        module.train_hypernet(model, tokenizer, POOL, how, own_context, folder / "hypernet")


def stranger() -> Any:
    """A random model of a family that lib/models/architecture.py does not know."""
    config = OPTConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=48,
        max_position_embeddings=128, word_embed_proj_dim=32,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config)
    return model.eval().requires_grad_(False)
