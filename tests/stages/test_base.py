"""Stage `base`: what it looks at before it makes a model."""

import subprocess
import sys
from pathlib import Path

from tests.stages.test_facts import change, project

__all__ = ["project"]


def test_a_wrong_preset_of_the_editor_is_refused_before_a_model_is_made(project: Path) -> None:
    change(project / "configs/editors/lora.yaml", "weight_decay", to="much")
    files = [part for name in ("requests", "pool", "text", "model") for part in (f"--{name}", f"absent/{name}")]
    done = subprocess.run(
        [sys.executable, "-m", "stages.base", *files, "--metrics", "absent/metrics.json", "--usage", "absent/usage"],
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "lora.yaml" in done.stderr
    assert "weight_decay" in done.stderr
    assert not (project / "absent").exists()
