"""The notebook of examples/, run cell by cell: `python -m tests.helpers.notebook` renews what it prints.

A notebook is JSON, and its cells are plain Python, so none of Jupyter's packages is needed to run it.
"""

import contextlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.helpers.imports import ROOT

NOTEBOOK = ROOT / "examples" / "notebook.ipynb"


def printed(notebook: Mapping[str, Any], parameters: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Every code cell and what it prints, run in one after another in one namespace.

    Args:
        parameters: what takes the place of the values in the cell that is tagged `parameters`.
    """
    names: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile("".join(cell["source"]), str(NOTEBOOK), "exec"), names)
            if "parameters" in cell["metadata"].get("tags", []):
                names |= parameters
            yield cell, output.getvalue()


def main() -> None:
    """Run it as it stands, in an empty folder, and store what it printed."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        for number, (cell, text) in enumerate(printed(notebook, {}), start=1):
            stream = {"name": "stdout", "output_type": "stream", "text": text.splitlines(keepends=True)}
            cell |= {"execution_count": number, "outputs": [stream] if text else []}
    new = Path(f"{NOTEBOOK}.new")
    new.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(new, NOTEBOOK)


if __name__ == "__main__":
    main()
