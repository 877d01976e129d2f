"""Writes the compact values of tests/golden from the folder with all reference values.

    python -m tests.parity.compact FOLDER

Values are the folder's. What is too large to copy is there in part: some rows of a matrix, or the two factors of a
matrix of low rank (equal to it to 1e-5 or better); a float64 array as float32 where its own tolerance is no finer.
Arrays are in the parameter's own orientation, as in the folder.
"""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.helpers.models import GOLDEN
from tests.parity.compact_documents import DOCUMENTS
from tests.parity.folder import FAMILIES, PRUNED_LAYERS, arrays, read

ROWS_OF_A_MOMENT = 8
FINE_TUNING_STEP = 16
"""Every so many rows of a fine-tuned matrix are stored."""
EMMET_RUNS = ("batch12_1layer", "batch12_2layers", "batch5_1layer_unl", "batch1_1layer")
ALGEBRA_RUN = "batch5_1layer_unl"
"""The EMMET run whose keys are stored in float64 beside them: its system is well conditioned."""
MEND_RUNS = ("eval__single0", "eval__single1", "eval__batch2", "as_published_training_mode__single0")


def factors(name: str, matrix: Tensor, rank: int) -> dict[str, Tensor]:
    """`matrix` as name/left [rows, rank] @ name/right [rank, columns], float32."""
    u, sigma, vt = torch.linalg.svd(matrix.double(), full_matrices=False)
    left, right = u[:, :rank] * sigma[:rank].sqrt(), sigma[:rank].sqrt()[:, None] * vt[:rank]
    return {f"{name}/left": left.float(), f"{name}/right": right.float()}


def numerical_rank(matrix: Tensor) -> int:
    """The number of singular values above a millionth of the largest."""
    sigma = torch.linalg.svdvals(matrix.double())
    return int((sigma > 1e-6 * sigma[0]).sum())


def second_moments(folder: Path) -> dict[str, Tensor]:
    """Of each layer: diagonal, eigenvalues, and eight rows; of the llama's first layer the upper triangle as well."""
    values: dict[str, Tensor] = {}
    for family in FAMILIES:
        stored = arrays(folder, f"01_second_moment_{family}")
        for layer, eigenvalues in enumerate(stored["eigenvalues"]):
            moment = stored[f"mom2_layer{layer}"]
            values[f"{family}/diagonal_layer{layer}"] = moment.diagonal()
            values[f"{family}/rows_layer{layer}"] = moment[:: len(moment) // ROWS_OF_A_MOMENT]
            values[f"{family}/eigenvalues_layer{layer}"] = eigenvalues.float()
    first = arrays(folder, "01_second_moment_llama")["mom2_layer0"]
    values["llama/triangle_layer0"] = first[tuple(torch.triu_indices(*first.shape))]
    return values


def rome(folder: Path) -> dict[str, Tensor]:
    """Direction u, value v and what they are made of, for every request of every ROME and R-ROME run."""
    values: dict[str, Tensor] = {}
    for family in FAMILIES:
        runs = [f"rome_{family}_mom2_true", f"rome_{family}_mom2_false"]
        if family != "llama":
            runs += [f"rrome_{family}_random_prefix_keys", f"rrome_{family}_prompt_keys"]
        for run in runs:
            stored = arrays(folder, f"02_{run}")
            values |= {f"{run}/{key}": stored[key] for key in ("u", "v", "k_star", "v_star", "v_init")}
    return values


def memit(folder: Path) -> dict[str, Tensor]:
    """z, and of each layer K, what is left to z (resid) and the adjusted keys (adj_k): delta = resid adj_k^T."""
    values: dict[str, Tensor] = {}
    for family in FAMILIES:
        stored = arrays(folder, f"03_memit_{family}")
        for key in stored:
            if key in ("z", "z_init") or key.startswith(("K_", "resid_", "adj_k_")):
                exact = family == "llama" and key == "adj_k_layer0"
                values[f"{family}/{key}"] = stored[key] if exact else stored[key].float()
        if family != "llama":
            early = arrays(folder, f"03_memit_{family}_earlystop")
            values[f"{family}_earlystop/z"] = torch.stack(list(early.values()))
    return values


def emmet(folder: Path) -> dict[str, Tensor]:
    """Of each run z, what is left to it (resid) and the adjusted keys (adj_k); of one run K, and all in float64."""
    values: dict[str, Tensor] = {}
    for family in ("gpt2", "gptj"):
        for run in EMMET_RUNS:
            stored = arrays(folder, f"04_emmet_{family}_{run}")
            for key in stored:
                exact = run == ALGEBRA_RUN
                if key in ("z", "case_id") or key.startswith(("resid_", "adj_k_")) or (exact and key.startswith("K_")):
                    half = stored[key].is_floating_point() and not exact
                    values[f"{family}_{run}/{key}"] = stored[key].float() if half else stored[key]
    return values


def alphaedit(folder: Path) -> dict[str, Tensor]:
    """Of both batches z and each layer's delta, and rows of the projection P; for llama P itself and the keys.

    P = I - basis basis^T, where the basis spans what is not in the null space.
    """
    values: dict[str, Tensor] = {}
    for family in FAMILIES:
        stored = arrays(folder, f"04_alphaedit_{family}")
        values[f"{family}/nullspace_dim"] = stored["nullspace_dim"]
        for layer, projection in zip(stored["layers"].tolist(), stored["P"].double(), strict=True):
            values[f"{family}/P_rows_layer{layer}"] = projection[:: len(projection) // ROWS_OF_A_MOMENT].float()
            if family == "llama":
                _, vectors = torch.linalg.eigh(torch.eye(len(projection)).double() - projection)
                rank = len(projection) - round(projection.trace().item())
                values[f"{family}/basis_layer{layer}"] = vectors[:, -rank:].float()
        for key, value in stored.items():
            if key.startswith("delta_"):
                values |= factors(f"{family}/{key}", value, rank=6)  # one for each request of a batch
            elif key.startswith("z_") or (family == "llama" and key.startswith(("K", "cur_z_"))):
                values[f"{family}/{key}"] = value
    return values


def fine_tuning_deltas(folder: Path) -> dict[str, Tensor]:
    """What was added to each parameter: vectors whole, of matrices every 16th row and the norm of all."""
    values: dict[str, Tensor] = {}
    for run in read(GOLDEN, "fine_tuning"):
        with np.load(folder / "outputs" / f"05_ft_{run}.npz") as stored:
            for name in stored:
                delta = torch.from_numpy(stored[name])
                values[f"{run}/{name}"] = delta if delta.dim() == 1 else delta[::FINE_TUNING_STEP]
                if delta.dim() == 2:
                    values[f"{run}/{name}/norm"] = delta.double().norm().float()
    return values


def hypernets(folder: Path) -> dict[str, Tensor]:
    """Hyper-networks and what they make of two edits: MEND (of gpt2 the down projections only) and KE."""
    values: dict[str, Tensor] = {}
    for family in ("gpt2", "gptj"):
        network = load_file(folder / "outputs" / f"07_mend_hypernet_{family}.safetensors")
        values |= {
            f"mend_{family}/{key}": value for key, value in network.items() if family == "gptj" or "(96" not in key
        }
        for key, delta in arrays(folder, f"07_mend_{family}").items():
            run, _, path = key.rpartition("__")
            if run in MEND_RUNS and (family == "gptj" or "c_fc" not in path):
                name = f"mend_{family}/{run}/{path.removesuffix('.weight')}"
                values |= factors(name, delta, numerical_rank(delta))
    network = load_file(folder / "outputs" / "07_ke_hypernet_gpt2.safetensors")
    embedding = network.pop("editor.condition.embedding.weight")  # the model's, and a row for [PAD]
    values |= {f"ke/{key}": value for key, value in network.items()} | {"ke/pad_row": embedding[-1]}
    for key, value in arrays(folder, "07_ke_gpt2").items():
        case, _, path = key.partition("__")
        if path:
            values |= factors(f"ke/{case}/{path.removesuffix('.weight')}", value, numerical_rank(value))
        else:
            values[f"ke/{case}"] = value
    return values


def updates(folder: Path) -> dict[str, Tensor]:
    """One layer's sum of three MEMIT updates before and after PRUNE; PCA's inverse transform of a ROME update."""
    values: dict[str, Tensor] = {}
    for family, layer in PRUNED_LAYERS.items():
        stored = arrays(folder, f"08_prune_memit3batches_{family}")
        for kind in ("accumulated", "pruned_delta"):
            values |= factors(f"prune_{family}/{kind}_layer{layer}", stored[f"{kind}_layer{layer}"], rank=12)
    inverse = arrays(folder, "08_masks_gpt2")["pca_inverse_transform"]
    return values | factors("pca_rank_one", inverse, rank=2)


TENSORS: dict[str, Callable[[Path], dict[str, Tensor]]] = {
    "second_moments": second_moments,
    "rome": rome,
    "memit": memit,
    "emmet": emmet,
    "alphaedit": alphaedit,
    "fine_tuning_deltas": fine_tuning_deltas,
    "hypernets": hypernets,
    "updates": updates,
}


def without_repeats(values: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Each different array once, and for every other name that of the array which it equals."""
    first: dict[bytes, str] = {}
    same = {}
    for name, value in values.items():
        content = f"{value.dtype} {tuple(value.shape)}".encode() + value.contiguous().numpy().tobytes()
        if (earlier := first.setdefault(content, name)) != name:
            same[name] = earlier
    return {name: value.contiguous() for name, value in values.items() if name not in same}, same


def main(folder: Path) -> None:
    """Write every file."""
    for name, document in DOCUMENTS.items():
        (GOLDEN / f"{name}.json").write_text(json.dumps(document(folder), separators=(",", ":")) + "\n")
    for name, values in TENSORS.items():
        stored, same = without_repeats(values(folder))
        save_file(stored, GOLDEN / f"{name}.safetensors", metadata={"same": json.dumps(same)})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
