"""The edits of the reference values, and the editors' settings that those were made with."""

import json
from pathlib import Path

from lib.core.records import Request
from lib.core.texts import fill

GOLDEN = Path(__file__).parent.parent / "golden"


def requests() -> dict[int, Request]:
    """The twelve CounterFact-shaped edits by case_id."""
    tensors_by_name = {}
    for record in json.loads((GOLDEN / "inputs/counterfact_requests.json").read_text()):
        rewrite = record["requested_rewrite"]
        tensors_by_name[record["case_id"]] = Request(
            request_id=str(record["case_id"]),
            dataset="counterfact",
            subject=rewrite["subject"],
            relation=rewrite["relation_id"],
            prompt=fill(rewrite["prompt"], rewrite["subject"]),
            template=rewrite["prompt"],
            target_new=rewrite["target_new"]["str"],
            target_true=rewrite["target_true"]["str"],
        )
    return tensors_by_name
