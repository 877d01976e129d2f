"""Drawings as a test sees them: well-formed, inside their frame, in colours that can be told apart."""

import re
from xml.etree import ElementTree

from lib.report.pages import TEMPLATES
from lib.report.plots.svg import FONT, Drawing

SVG = "{http://www.w3.org/2000/svg}"
LETTER = 0.5
"""Mean width of a letter over the height of the type, rather less than a browser's."""


def parsed(drawing: Drawing) -> ElementTree.Element:
    """The picture as a tree; fails where it is not well-formed."""
    return ElementTree.fromstring(drawing.svg)


def texts(drawing: Drawing) -> list[str]:
    """The words in a picture."""
    return [element.text or "" for element in parsed(drawing).iter(f"{SVG}text")]


def outside(drawing: Drawing) -> list[str]:
    """What reaches over the edge of the picture: texts, rectangles and the points of lines outside moved groups."""
    tree = parsed(drawing)
    width, height = (float(value) for value in tree.attrib["viewBox"].split()[2:])
    moved = {child for group in tree.iter(f"{SVG}g") for child in group.iter()}
    boxes = [(element, *_box(element)) for element in tree.iter() if element not in moved]
    return [
        ElementTree.tostring(element, encoding="unicode")[:160]
        for element, left, top, right, bottom in boxes
        if left < -1 or top < -1 or right > width + 1 or bottom > height + 1
    ]


def _box(element: ElementTree.Element) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a text, a rectangle or a path; of anything else nothing."""
    values = {name: float(element.get(name, "0")) for name in ("x", "y") if element.tag != f"{SVG}svg"}
    if element.tag == f"{SVG}text":
        width = LETTER * FONT * len(element.text or "")
        left = values["x"] - {"end": width, "middle": width / 2}.get(element.get("text-anchor", ""), 0.0)
        return left, values["y"] - FONT, left + width, values["y"]
    if element.tag == f"{SVG}rect":
        right = values["x"] + float(element.get("width", "0"))
        return values["x"], values["y"], right, values["y"] + float(element.get("height", "0"))
    points = [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", element.get("d", ""))] or [
        (0.0, 0.0)
    ]
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def colors() -> dict[str, dict[str, str]]:
    """By scheme (light, dark) the colours of templates/colors.css, as #rrggbb by name."""
    light, dark = (TEMPLATES / "colors.css").read_text().split("@media")
    return {
        scheme: dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", sheet))
        for scheme, sheet in (("light", light), ("dark", dark))
    }


def contrast(first: str, second: str) -> float:
    """The contrast ratio of two colours, #rrggbb: WCAG 2.2."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    parts = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
