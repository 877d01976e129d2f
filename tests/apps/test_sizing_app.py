"""The table of docs/sizing.md is what the app prints."""

from apps.sizing import MODELS, needs
from lib.core.params import ROOT
from lib.experiments.dry_run import DEVICES


def test_the_documented_table_is_computed() -> None:
    printed = needs(list(MODELS), DEVICES["h100"], edits=10_000, paraphrases=15, neighbors=20, rows=256)
    assert printed in (ROOT / "docs" / "sizing.md").read_text()
