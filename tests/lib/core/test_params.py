"""Settings are checked with errors that name the key, what was wanted and what was found."""

import logging
import re
from pathlib import Path
from typing import Any

import pytest

from lib.core import params
from lib.core.errors import InputError


@pytest.mark.parametrize(
    ("section", "kind", "change", "message"),
    [
        ("train", params.Train, {"epochs": 0}, "train.epochs: .*greater than or equal to 1.* 'auto'; found 0"),
        ("train", params.Train, {"epochs": 1.5}, "train.epochs: .*found 1.5"),
        ("train", params.Train, {"lr": -1e-3}, "train.lr: .*greater than 0.*found -0.001"),
        ("train", params.Train, {"lr": float("nan")}, "train.lr: .*finite number.*found nan"),
        ("train", params.Train, {"dpo_beta": float("inf")}, "train.dpo_beta: .*finite number.*found inf"),
        ("train", params.Train, {"batch_size": 0}, "train.batch_size: .*found 0"),
        ("train", params.Train, {"epoch": 3}, "train.epoch: unknown key. Did you mean 'epochs'"),
        ("protocol", params.Protocol, {"checkpoints": [0]}, "protocol.checkpoints.0: .*found 0"),
        ("protocol", params.Protocol, {"together": 0}, "protocol.together: .*found 0"),
        ("para", params.Para, {"prefix_tokens": [5, 0]}, "para.prefix_tokens.1: .*found 0"),
        ("weights", params.Weights, {"thresholds": [-1.0]}, "weights.thresholds.0: .*found -1.0"),
        (
            "score",
            params.Scoring,
            {"greedy": {"tokenz": 1, "limit": None, "tokens": 1}},
            "score.greedy.tokenz: unknown key. Did you mean 'tokens'",
        ),
    ],
)
def test_a_wrong_value_is_one_line_with_its_key(
    section: str, kind: type[params.Section], change: dict[str, Any], message: str
) -> None:
    values = params.read_params()[section] | change
    with pytest.raises(InputError) as raised:
        params.check(values, kind, f"params.yaml: {section}")
    assert re.search(message, str(raised.value))
    assert len(str(raised.value).splitlines()) == 1


KINDS: dict[str, type[params.Section]] = {
    "train": params.Train,
    "score": params.Scoring,
    "statistics": params.Statistics,
    "abilities": params.Abilities,
}


@pytest.mark.parametrize("section", KINDS)
def test_the_old_name_of_a_key_is_read_with_a_note(section: str, caplog: pytest.LogCaptureFixture) -> None:
    values = params.read_params()[section]
    values["micro_tokens"] = values.pop("micro_batch_tokens")
    with caplog.at_level(logging.WARNING):
        renamed = params.check(values, KINDS[section], section)
    assert renamed.model_dump()["micro_batch_tokens"] == values["micro_tokens"]
    assert "micro_tokens is now called micro_batch_tokens" in caplog.text
    with pytest.raises(InputError, match="micro_tokens: unknown key"):
        params.check(values | {"micro_batch_tokens": 64}, KINDS[section], section)


@pytest.mark.parametrize("text", ["a: [1", "a: 1\n b: 2", "- 1", ""])
def test_a_file_that_is_no_yaml_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(InputError, match=r"params\.yaml: wanted "):
        params.read_params(tmp_path / "params.yaml")


def test_what_a_limit_of_0_leaves_unmeasured_is_told() -> None:
    scoring = params.section("score", params.Scoring)
    assert scoring.left_out == ()
    nothing = scoring.model_copy(update={"greedy": scoring.greedy.model_copy(update={"limit": 0})})
    assert nothing.left_out == (
        "score.greedy.limit=0: no text is written, so neither exact match nor a verdict is measured",
    )


def test_a_number_of_more_digits_than_python_reads_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(f"seed: {'9' * 5000}\n")
    with pytest.raises(InputError, match=r"params\.yaml: wanted YAML"):
        params.read_params(tmp_path / "params.yaml")
