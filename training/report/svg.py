"""A plot as inline SVG that takes its colours, its font and its width from the page."""

import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from markupsafe import escape

INK, MUTED, LINE, ACCENT, WARM = "#010101", "#020202", "#030303", "#040404", "#050505"
_VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", ACCENT: "accent", WARM: "warm"}
WIDE = (3.7, 3.0)
SMALL = (1.8, 1.45)
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "lines.linewidth": 1.6,
}

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of its font cache


@dataclass
class Plot:
    """A plot in the making, and its SVG once it is done.

    Attributes
    ----------
    label : str
        What a person who can't see it is told.
    axes : matplotlib.axes.Axes
    svg : str
    """

    label: str
    axes: Any
    svg: str = field(default="", init=False)


@contextmanager
def plot(label: str, size: tuple[float, float] = WIDE) -> Iterator[Plot]:
    """Yield a plot to draw on; its SVG is there after the block.

    Parameters
    ----------
    label : str
    size : tuple of float
        Width and height in inches, at which text is as large as the page's small print.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE | {"svg.hashsalt": label}):
        figure = Figure(figsize=size, layout="constrained")
        made = Plot(label, figure.add_subplot())
        yield made
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True)
    made.svg = _inline(text.getvalue(), label)


def _inline(svg: str, label: str) -> str:
    """Make a stand-alone SVG a part of the page: its size, names and colours are the page's."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = re.sub(r' (width|height)="[\d.]+pt"', "", body, count=2)
    body = re.sub(r"(<g[^>]*)>((?:\s*<use [^>]*/>)+)", _hoisted, body)
    body = re.sub(r"font-family: [^;\"]*; ?", "", body)
    body = re.sub(r' (?:d|x|y|transform)="[^"]*"', _rounded, body)
    body = body.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var(--{variable})")
    return body


def _hoisted(group: re.Match[str]) -> str:
    """Write the style of a group's markers once, at the group."""
    style = re.search(r' style="[^"]*"', group[2])
    return f"{group[1]}{style[0]}>{group[2].replace(style[0], '')}" if style else group[0]


def _rounded(attribute: re.Match[str]) -> str:
    return re.sub(r"(\.\d\d)\d+", r"\1", attribute[0])
