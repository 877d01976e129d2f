"""HTML pages from the templates/ beside this module: complete in themselves, whatever comes from data escaped."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lib.metrics.headline import compared
from lib.report.wording import cell, column, duration, figure, flat, p_value, short, signed

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> str:
    """The page that the template of this file name makes of `values`. Raises jinja2.UndefinedError where one lacks."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        cell=cell,
        column=column,
        compared=lambda row: compared(row.kind, row.measure),
        duration=duration,
        figure=figure,
        flat=flat,
        p_value=p_value,
        short=short,
        signed=signed,
    )
    return environment.get_template(template).render(**values)
