"""README.md and docs/own-facts.md are followed to the letter, in a clone with the tiny model as its default.

Every line of every command block is run in the order of the page, or stands in LEFT_OUT with the reason. The files that
the commands read are the pages' own blocks.
"""

import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.helpers.clones import quick_clone
from tests.helpers.imports import ROOT
from tests.helpers.models import GOLDEN
from tests.helpers.repositories import PYTHON_FIRST, commit, git

README, OWN_FACTS = (ROOT / name for name in ("README.md", "docs/own-facts.md"))
COMMANDS = ("make", "errata", "dvc", "python", "printf")
NO_COMMANDS = ("Who makes the Heron 24?", "subject,prompt,target_new", "dvc.yaml          the map", "from pathlib")
"""How the other blocks begin: a model's answers, files, the tree, Python."""
LEFT_OUT = {
    "make setup && source .venv/bin/activate": "CI begins with it; the environment is the one that tests run in",
    "make test": "CI runs these tests",
    "make check": "CI is this command",
    "dvc exp run -S dataset=counterfact -S facts.limit=200 -S facts.folder=/where/counterfact.json/lies": (
        "CounterFact is not in the repository; tests marked data read it"
    ),
    "dvc exp run -S dataset=own -S own.path=own/my_facts.csv -S own.pool=counterfact -S model=gpt2-xl": (
        "CounterFact is not in the repository, and the model is fetched (6 GB)"
    ),
    "dvc exp run ... -S para.model=models/bigger": "the dots are the reader's; it needs a chat model",
    "dvc exp run ... -S \"para.model='http://127.0.0.1:8000/v1#name'\"": "the dots are the reader's; it needs a server",
}
IN_PLACE_OF = {
    'errata ask "The capital of Australia is" --model smollm2-135m': ("smollm2-135m", str(GOLDEN / "models/llama")),
    "errata fix city.csv --model smollm2-135m --to corrected": ("smollm2-135m", "tiny"),
    "errata serve corrected": ("corrected", "corrected --port 0 --backend transformers"),
    "make run": ("make", "make -o .venv/.installed"),
    "dvc metrics diff ; make experiments ; dvc plots show": ("make", "make -o .venv/.installed"),
}
"""What is put into a line: a model that is there, a free port, the tests' own environment for make's."""
NOT_SAFE = 3
"""The status of `errata fix` where the verdict is another than `safe`, as it is of a model that is hardly trained."""


def blocks(page: Path) -> list[str]:
    """The code blocks of a page: in README what is indented, in the others what is fenced."""
    pattern = r"(?:^    .*\n)+" if page == README else r"^ *```\w*\n(.*?)^ *```$"
    matches = re.findall(pattern, page.read_text(), re.MULTILINE if page == README else re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block).strip() for block in matches]


def lines(page: Path) -> list[str]:
    """The lines of a page's command blocks, without their comments."""
    commands = [block for block in blocks(page) if re.split(r"[ \n]", block)[0] in COMMANDS]
    return [re.sub(r"\s{2,}#.*", "", line) for block in commands for line in block.splitlines() if line.strip()]


def block_that_begins(page: Path, text: str) -> str:
    (block,) = (block for block in blocks(page) if block.startswith(text))
    return block + "\n"


@pytest.mark.parametrize("page", [README, OWN_FACTS], ids=lambda page: page.name)
def test_every_block_is_one_of_commands_or_known_to_be_none(page: Path) -> None:
    uncalled = [block for block in blocks(page) if re.split(r"[ \n]", block)[0] not in COMMANDS]
    assert [block for block in uncalled if not block.startswith(NO_COMMANDS)] == []
    assert [line for line in lines(page) if line.split()[0] not in COMMANDS] == []
    assert len(lines(page)) > 3


def test_every_line_that_is_left_out_or_changed_is_on_a_page() -> None:
    written = {*lines(README), *lines(OWN_FACTS)}
    assert {*LEFT_OUT, *IN_PLACE_OF} - written == set()
    assert all(old in line for line, (old, _) in IN_PLACE_OF.items())


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the pages' own files in their places; its model knows no fact, so that none stands beside the edits."""
    folder = quick_clone(tmp_path_factory.mktemp("followed") / "errata", neighbors={"kind": "none"})
    commit(folder, "as it is")
    (folder / "own").mkdir()
    (folder / "own/my_facts.csv").write_text(block_that_begins(OWN_FACTS, "subject,prompt,target_new,"))
    return folder


def environment(folder: Path) -> dict[str, str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("DVC_")}
    cache = str(folder.parent / "cache")
    return variables | {"PATH": PYTHON_FIRST, "PYTHONPATH": str(folder), "XDG_CACHE_HOME": cache}


def follow(line: str, folder: Path) -> None:
    """Run a line of a page as a reader does, with what IN_PLACE_OF puts into it."""
    command = line.replace(*IN_PLACE_OF[line]) if line in IN_PLACE_OF else line
    if command.startswith("errata serve"):
        serve(command, folder)
        return
    done = subprocess.run(
        ["bash", "-ec", command.replace(" ; ", "\n")], cwd=folder, env=environment(folder), capture_output=True,
        text=True, timeout=1800,
    )  # fmt: skip
    expected = {0, NOT_SAFE} if command.startswith("errata fix") else {0}
    assert done.returncode in expected, f"{command}\n{done.stdout}\n{done.stderr}"


def serve(command: str, folder: Path) -> None:
    """Until it says where it answers."""
    with subprocess.Popen(
        command.split(), cwd=folder, env=environment(folder), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert "http://127.0.0.1:" in line
        assert process.wait() == 0


@pytest.mark.dag
@pytest.mark.slow
@pytest.mark.parametrize("page", [README, OWN_FACTS], ids=lambda page: page.name)
def test_the_lines_of_the_page_run_one_after_another(page: Path, clone: Path) -> None:
    for line in lines(page):
        if line.startswith("dvc exp run -S dataset=own"):
            git(clone, "checkout", "params.yaml", "configs")  # README: what `-S` leaves is undone by that
        if line not in LEFT_OUT:
            follow(line, clone)


@pytest.mark.dag
@pytest.mark.slow
def test_the_last_runs_edit_is_opened_by_the_lines_of_the_page(clone: Path) -> None:
    code = block_that_begins(OWN_FACTS, "from pathlib") + "print(type(model).__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=clone, env=environment(clone), capture_output=True, text=True, timeout=600
    )
    assert (done.returncode, done.stdout.split()[-1:]) == (0, ["PeftModelForCausalLM"]), done.stderr
