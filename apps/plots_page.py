"""Write the page that `dvc plots show` fills, with Vega inlined: `python -m apps.plots_page`. It needs no network then.

The page is committed (.dvc/plots_page.html, named in .dvc/config). Writing it again, for another version of Vega, needs
vl-convert-python, which nothing else does: `pip install vl-convert-python==1.9.0.post1`.
"""

from importlib import import_module

from lib.core.errors import InputError
from lib.core.params import ROOT
from lib.core.run import run

PAGE = ".dvc/plots_page.html"
VEGA_LITE = "5.21"
"""The major version for which DVC's plot templates are written."""
NOTICE = """\
Inlined below: Vega, Vega-Lite and Vega-Embed, Copyright (c) 2015-2025 University of Washington Interactive Data Lab,
BSD-3-Clause (https://github.com/vega/vega/blob/main/LICENSE); with D3 and topojson, Copyright (c) Mike Bostock, ISC and
BSD-3-Clause. Bundled by vl-convert; written by apps/plots_page.py.
"""


def main() -> None:
    """Write the page."""
    try:
        bundle = import_module("vl_convert").javascript_bundle(vl_version=VEGA_LITE)
    except ModuleNotFoundError:
        raise InputError(
            f"{PAGE}: wanted the package vl-convert-python; found none. `pip install vl-convert-python==1.9.0.post1`"
        ) from None
    (ROOT / PAGE).write_text(page(bundle), encoding="utf-8")


def page(bundle: str) -> str:
    """DVC's page, without its scripts from the network: `bundle` is JavaScript that sets window.vegaEmbed."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{{refresh_tag}}
<title>Errata plots</title>
<!--
{NOTICE}-->
<script>(function() {{
{bundle}
}})();</script>
</head>
<body>
<main>
<h1>Errata plots</h1>
{{plot_divs}}
</main>
</body>
</html>
"""


if __name__ == "__main__":
    run(main)
