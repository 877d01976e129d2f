"""The page of `dvc plots show` loads nothing from the network."""

import re
from configparser import ConfigParser

import pytest
from dvc_render.html import HTML, PAGE_HTML
from dvc_render.vega import VegaRenderer

from apps import plots_page
from lib.core.errors import InputError
from lib.core.params import ROOT


def loaded(template: str) -> list[str]:
    """The addresses that a page made from `template` loads scripts or styles from."""
    filled = HTML(template).with_scripts(VegaRenderer.SCRIPTS).with_element("<p>plot</p>").embed()
    assert "<p>plot</p>" in filled
    return re.findall(r"<(?:script|link)[^>]*(?:src|href)=\"([^\"]+)", filled)


def test_the_committed_page_is_the_one_in_use_and_brings_vega_along() -> None:
    config = ConfigParser()
    config.read(ROOT / ".dvc/config")
    page = (ROOT / ".dvc" / config["plots"]["html_template"]).read_text(encoding="utf-8")
    assert page == (ROOT / plots_page.PAGE).read_text(encoding="utf-8")
    assert loaded(PAGE_HTML), "DVC's own page needs no network any more: this one may go"
    assert loaded(page) == []
    assert "window.vegaEmbed=" in page
    assert page.count("<script") == page.count("</script>") == 1
    (bundle,) = re.findall(r"<script>\(function\(\) \{\n(.*)\n\}\)\(\);</script>", page, re.DOTALL)
    assert page == plots_page.page(bundle), "python -m apps.plots_page writes it again"


def test_without_the_package_that_bundles_it_the_page_stays_and_the_message_names_the_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(plots_page, "import_module", absent)
    before = (ROOT / plots_page.PAGE).stat().st_mtime_ns
    with pytest.raises(InputError, match="pip install vl-convert-python"):
        plots_page.main()
    assert (ROOT / plots_page.PAGE).stat().st_mtime_ns == before
