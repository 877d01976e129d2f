"""HTML pages from the templates/ beside this module: complete in themselves, whatever comes from data escaped."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lib.metrics.headline import compared
from lib.report.edited import probability
from lib.report.labels import in_words, named
from lib.report.literal import bare, isolated
from lib.report.wording import cell, column, duration, figure, flat, number, odds, p_value, short, signed, unbroken

TEMPLATES = Path(__file__).parent / "templates"
_SCRIPTS = ("page.js",)


def render(template: str, scripts: Sequence[str] = _SCRIPTS, **values: Any) -> str:
    """The page that the template of this file name makes of `values`. Raises jinja2.UndefinedError where one lacks.

    The browser is told to run no script but the page's own, those of these file names, and to load nothing.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=isolated,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        bare=bare,
        cell=cell,
        column=column,
        compared=lambda row: compared(row.kind, row.measure),
        duration=duration,
        figure=figure,
        flat=flat,
        in_words=in_words,
        named=named,
        number=number,
        p_value=p_value,
        probability=lambda nll: odds(probability(nll)),
        short=short,
        signed=signed,
        unbroken=unbroken,
    )
    script = "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in scripts)
    return environment.get_template(template).render(script=script, policy=_policy(script), **values)


def _policy(script: str) -> str:
    """A Content-Security-Policy by which nothing is loaded, and this script alone runs."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
