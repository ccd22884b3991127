"""One style for every figure: light colours in files, the page's own variables where a figure is inline."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

INK, MUTED, LINE = "#1b1f24", "#59636e", "#d5dae0"
SERIES = ("#0b62b0", "#b93c0a", "#0f766e", "#7637d1")  # 5:1 or more on white; style.css has the dark ones
_VARIABLES = {INK: "--ink", MUTED: "--muted", LINE: "--line"} | {
    color: f"--series-{number}" for number, color in enumerate(SERIES, start=1)
}
_DASHES = ("-", "--", "-.", ":")
_MARKERS = ("o", "s", "^", "D")
_PNG_DPI = 200
_WIDTH, _HEIGHT = 3.9, 3.0  # inches
_LEFT, _BOTTOM, _TALL = 0.14, 0.16, 0.73  # of the axes, as shares of the figure
_RC: dict[RcKeyType, Any] = {
    "svg.hashsalt": "sbnet",  # ids from content, not random: the same figure is the same bytes
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial"],
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.0,
    "legend.frameon": False,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the style of the report, whatever the user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        yield


@dataclass(frozen=True)
class SeriesStyle:
    """Of one line, which differs from the others without colour, too."""

    color: str
    dashes: str
    marker: str


def series_style(number: int) -> SeriesStyle:
    """Style of the series `number`, from 0."""
    position = number % len(SERIES)
    return SeriesStyle(SERIES[position], _DASHES[position], _MARKERS[position])


def new_axes(right: float, times: float = 1.0) -> tuple[Figure, Axes]:
    """A figure whose axes end at `right`, a share of its width: labels are placed beyond. It is `times` as tall."""
    figure = Figure(figsize=(_WIDTH, _HEIGHT * times))
    bottom, above = _BOTTOM / times, (1.0 - _BOTTOM - _TALL) / times
    return figure, figure.add_axes((_LEFT, bottom, right - _LEFT, 1.0 - bottom - above))


def to_svg(figure: Figure) -> str:
    """The figure as a file: light, on white, the same bytes each time."""
    text = io.StringIO()
    figure.savefig(text, format="svg", facecolor="white", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def to_png(figure: Figure) -> bytes:
    """The figure as pixels: light, on white."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=_PNG_DPI, facecolor="white", metadata={"Software": None})
    return data.getvalue()


def inline(svg: str, label: str) -> str:
    """An SVG file's text made part of a page: its colours follow the page's theme, its ids do not clash with others."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = re.sub(r' (?:width|height)="[\d.]+pt"', "", body)
    for color, variable in _VARIABLES.items():
        body = body.replace(color, f"var({variable})")
    body = body.replace("fill: #ffffff", "fill: none")  # the paper of the file; the page has its own
    return body.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1).rstrip()
