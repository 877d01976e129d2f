"""Training pairs come in their order, whatever the part in which they are tokenized; strangers are refused."""

import pytest

from lib.core.records import Paraphrase, UneditedFact
from lib.methods.training import pairs
from lib.models.tokens import encode
from tests.helpers.models import byte_tokenizer
from tests.helpers.small import REQUESTS

PARAPHRASES = [Paraphrase(request_id="e1", kind="prefix", text="So. Ben lives in", seed=1)]
NEIGHBORS = [UneditedFact(request_id="e3", fact_id="f", rank=0, similarity=None, prompt="Dan lives in", target="Riga")]
ROWS = [
    ("Ada lives in", "Rome", "Oslo", None), ("Ben lives in", "Oslo", "Rome", None),
    ("Cy lives in", "Bonn", "Rome", None), ("Di lives in", "Rome", "Bonn", None),
    ("So. Ben lives in", "Oslo", "Rome", None), ("Dan lives in", "Riga", None, None),
]  # fmt: skip


def test_edits_come_first_then_paraphrases_with_the_edits_targets_then_neighbors_with_their_own() -> None:
    assert list(pairs.training_rows(REQUESTS, PARAPHRASES, NEIGHBORS)) == ROWS


@pytest.mark.parametrize("part", [1, 4, 100])
@pytest.mark.parametrize("rejected", [False, True])
def test_parts_change_nothing(monkeypatch: pytest.MonkeyPatch, part: int, rejected: bool) -> None:
    monkeypatch.setattr(pairs, "_PART", part)
    tokenizer = byte_tokenizer()
    targets = [(new, true) if rejected and true else (new,) for _, new, true, _ in ROWS]
    items = encode(tokenizer, [prompt for prompt, *_ in ROWS], targets)
    assert list(pairs.training_items(tokenizer, ROWS, mask_prompt=True, rejected=rejected)) == items
    if not rejected:
        plain = list(pairs.training_items(tokenizer, ROWS, mask_prompt=False, rejected=False))
        assert plain == [pairs.unmasked(item) for item in items]


@pytest.mark.parametrize(("paraphrases", "neighbors"), [(PARAPHRASES, []), ([], NEIGHBORS)])
def test_what_belongs_to_no_edit_is_refused(paraphrases: list[Paraphrase], neighbors: list[UneditedFact]) -> None:
    with pytest.raises(ValueError, match=r"of the request 'e[13]', which is not among the requests"):
        list(pairs.training_rows(REQUESTS[:1], paraphrases, neighbors))
