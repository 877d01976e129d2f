"""SVG as text: elements, and how a drawing stands in a page or becomes a file of its own.

Colours are roles (before, after, third, soft), never values: templates/colors.css says what they are in light and in
dark. The same drawing has the same bytes.
"""

import html
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lib.report.literal import in_xml

WIDTH = 400.0
"""Units of a picture's width; one is a CSS pixel where the picture is shown at its own size."""
FONT = 12.0
"""Height of the type, in the same units: readable on a phone, where a picture is some 300 pixels wide."""
_MARGIN = 10.0
"""Around a picture in a file of its own."""
_LETTER = 0.6
"""Mean width of a letter over the height of its type; more than most fonts take."""
_SHEETS = tuple(Path(__file__).parent.parent / "templates" / name for name in ("colors.css", "plots.css"))


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A picture, and all that it shows in words."""

    width: float
    height: float
    content: str
    """The elements that are drawn."""
    alt: str

    @property
    def svg(self) -> str:
        """An <svg> element for a page that has templates/colors.css and templates/plots.css."""
        return self._element(self.content, margin=0)

    def as_file(self) -> str:
        """The picture for a file of its own: with its colours, on a ground of its own, light or dark as asked for."""
        ground = element("rect", class_="ground", x=-_MARGIN, y=-_MARGIN, width="100%", height="100%")
        return self._element(f"<style>{_style()}</style>{ground}{self.content}", _MARGIN) + "\n"

    def _element(self, content: str, margin: float) -> str:
        size = (self.width + 2 * margin, self.height + 2 * margin)
        return element(
            "svg", content, xmlns="http://www.w3.org/2000/svg", class_="plot", role="img", aria_label=self.alt,
            viewBox=" ".join(map(_digits, (-margin, -margin, *size))),
        )  # fmt: skip


def drawing(width: float, height: float, parts: list[str], alt: str) -> Drawing:
    """The elements `parts` as a picture of this size."""
    return Drawing(width=width, height=height, content="".join(parts), alt=alt)


def element(name: str, *content: str, **attributes: str | float) -> str:
    """An element; attributes are escaped, `class_` is class and other underscores are hyphens, content is markup."""
    named = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
    written = "".join(f' {key}="{html.escape(in_xml(_digits(value)))}"' for key, value in named.items())
    return f"<{name}{written}>{''.join(content)}</{name}>" if content else f"<{name}{written}/>"


def text(content: str, x: float, y: float, anchor: str = "start", role: str = "", **more: str | float) -> str:
    """A line of text whose letters stand on the middle of height `y`."""
    attributes = {"class_": role, **more} if role else more
    anchors = {} if anchor == "start" else {"text_anchor": anchor}
    return element("text", html.escape(in_xml(content)), x=x, y=y + 0.35 * FONT, **anchors, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, role: str) -> str:
    """A straight line."""
    return element("path", class_=f"line {role}", d=f"M{_digits(x1)} {_digits(y1)}L{_digits(x2)} {_digits(y2)}")


def path(points: list[tuple[float, float]], role: str) -> str:
    """A line through these points."""
    steps = "L".join(f"{_digits(x)} {_digits(y)}" for x, y in points)
    return element("path", class_=f"line {role}", d=f"M{steps}")


def dots(points: list[tuple[float, float]], role: str) -> str:
    """A round dot at each of these points, as one element."""
    return element("path", class_=f"dots {role}", d="".join(f"M{_digits(x)} {_digits(y)}h0" for x, y in points))


def rect(x: float, y: float, width: float, height: float, role: str) -> str:
    """A filled rectangle."""
    return element("rect", class_=role, x=x, y=y, width=max(0.0, width), height=height)


def text_width(content: str, size: float = FONT) -> float:
    """About how wide a text is, rather more than less."""
    return _LETTER * size * len(content)


def legend(entries: list[tuple[str, str]], x: float, y: float) -> str:
    """Names beside squares of their roles, (name, role), on one line from `x` on."""
    parts = []
    for name, role in entries:
        parts += [rect(x, y - 5, 10, 10, role), text(name, x + 15, y)]
        x += 15 + text_width(name) + 14
    return "".join(parts)


def _digits(value: str | float) -> str:
    """A number with at most two decimals, nothing is -0; a text as it is."""
    return value if isinstance(value, str) else f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")


@cache
def _style() -> str:
    return html.escape("".join(sheet.read_text(encoding="utf-8") for sheet in _SHEETS), quote=False)
