"""The parts of the folder with all reference values that tests/golden has as JSON: settings, losses, texts, scores."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.parity.folder import FAMILIES, PRUNED_LAYERS, read

SETTINGS = (
    "layers", "fact_token", "v_num_grad_steps", "v_lr", "v_weight_decay", "clamp_norm_factor", "kl_factor",
    "mom2_adjustment", "mom2_update_weight", "update_norm_lambda", "emmet_lambda", "nullspace_threshold", "L2",
)  # fmt: skip
_LOCATED = ("rome", "rrome", "memit", "emmet", "alphaedit")
_TAILS = ("paraphrase_inputs", "neighborhood_inputs_target_true", "rephrase_input", "locality_input_post")


def hparams(folder: Path) -> dict[str, Any]:
    """What the editor's code reads of the settings of every ROME, MEMIT, EMMET and AlphaEdit run."""
    files = sorted((folder / "hparams").glob("*.json"))
    named = {file.stem: json.loads(file.read_text()) for file in files if file.stem.split("_")[0] in _LOCATED}
    return {run: {key: value for key, value in hparams.items() if key in SETTINGS} for run, hparams in named.items()}


def loss_traces(folder: Path) -> dict[str, Any]:
    """The loss of every step of every request, before the step."""
    losses = {}
    for family in FAMILIES:
        for moments in ("true", "false"):
            trace = read(folder, f"outputs/02_rome_{family}_mom2_{moments}")["loss_trace"]
            losses[f"rome_{family}_mom2_{moments}"] = _losses(trace)
        losses[f"memit_{family}"] = _losses(read(folder, f"outputs/03_memit_{family}")["loss_trace"])
        if family != "llama":
            searches = read(folder, f"outputs/03_memit_{family}_earlystop")
            losses[f"memit_{family}_earlystop"] = _losses({case: search["trace"] for case, search in searches.items()})
    return losses


def _losses(trace: Mapping[str, Any]) -> dict[str, list[float]]:
    return {case: [round(step["loss"], 7) for step in steps] for case, steps in trace.items()}


def fine_tuning(folder: Path) -> dict[str, Any]:
    """Settings and batch losses of every FT run."""
    runs = {}
    for file in sorted((folder / "hparams").glob("ft_*.json")):
        run = file.stem.removeprefix("ft_")
        hparams = json.loads(file.read_text())
        names = ("batch_size", "case_ids", "layers", "lr", "norm_constraint", "num_steps")
        runs[run] = {
            "hparams": {key: hparams[key] for key in names},
            "batch_losses": read(folder, f"outputs/05_ft_{run}")["batch_losses"],
        }
    return runs


def ike(folder: Path) -> dict[str, Any]:
    """The texts of every prompt; of those that begin as the prompt of the edit does, what follows."""
    stored = read(folder, "outputs/11_ike_prompts")
    records = read(folder, "inputs/counterfact_requests")
    prompts = {}
    for name, prompt in stored["prompts"].items():
        rewrite = records[prompt["case_id"]]["requested_rewrite"]
        fact = f"{rewrite['prompt'].replace('{}', rewrite['subject'])} {rewrite['target_new']['str']}"
        before = prompt["rewrite_input"].removesuffix(fact)
        reduced = {key: value for key, value in prompt.items() if key not in ("bank_note", "locality_input_pre")}
        prompts[name] = {key: _after(before, value) if key in _TAILS else value for key, value in reduced.items()}
    return {
        "order": stored["order_array_original"],
        "prompts": prompts,
        "easyedit_bank": read(folder, "outputs/11_ike_easyedit_bank"),
    }


def _after(before: str, texts: Any) -> Any:
    """What follows `before` in a text or in each of several."""
    if isinstance(texts, list):
        return [_after(before, text) for text in texts]
    if not texts.startswith(before):
        raise ValueError(f"wanted a text that begins as the prompt of the edit does, found {texts!r}")
    return texts.removeprefix(before)


def perplexity(folder: Path) -> dict[str, Any]:
    """Perplexities of texts by the original evaluation code, before and after the MEMIT edit."""
    return {family: read(folder, f"outputs/09_perplexity_{family}") for family in FAMILIES}


def singular_values(folder: Path) -> dict[str, Any]:
    """Of PRUNE's update: the largest singular values of the weight and of the update, and the update's rank."""
    values = {}
    for family, layer in PRUNED_LAYERS.items():
        stored = read(folder, f"outputs/08_prune_memit3batches_{family}")[f"layer{layer}"]
        values[family] = {
            "layer": layer,
            "weight": stored["sigma_max_W0"],
            "top": stored["top"],
            "rank": stored["rank1e6"],
        }
    return values


def token_counts(folder: Path) -> dict[str, int]:
    """The number of tokens that each second moment is a mean over."""
    return {family: read(folder, f"outputs/01_second_moment_{family}")["count"] for family in FAMILIES}


DOCUMENTS: dict[str, Callable[[Path], Any]] = {
    "hparams": hparams,
    "loss_traces": loss_traces,
    "fine_tuning": fine_tuning,
    "ike": ike,
    "perplexity": perplexity,
    "singular_values": singular_values,
    "token_counts": token_counts,
    "inputs/covariance_texts": lambda folder: read(folder, "inputs/covariance_texts"),
    "inputs/context_templates": lambda folder: read(folder, "inputs/context_templates"),
}
