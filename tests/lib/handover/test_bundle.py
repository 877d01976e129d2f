"""The facts of a bundle are read back as they were written."""

from dataclasses import replace
from pathlib import Path

from lib.core.records import LocalityPrompt
from lib.handover.bundle import write_facts
from lib.handover.facts import loaded_facts
from tests.helpers.small import REQUESTS


def test_facts_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    """The fault: how prompt and target are joined was lost."""
    first = replace(
        REQUESTS[0], separator="nothing", train_paraphrases=("Ada dwells in",), paraphrases=("The home of Ada is",),
        locality=(LocalityPrompt(prompt="Eve lives in", target="Pau"),), generation_prompts=(), references=(),
    )  # fmt: skip
    second = replace(first, request_id="bare", target_true=None, subject=None, template=None, separator=None)
    requests = [replace(request, dataset="own") for request in (first, second)]
    write_facts(tmp_path / "facts.jsonl", requests)
    assert loaded_facts(tmp_path / "facts.jsonl").requests == requests
