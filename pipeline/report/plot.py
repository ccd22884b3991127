"""What every figure of the report shares: its canvas, its name and the networks that it compares."""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 3.9, 3.0  # inches
_LEFT, _BOTTOM, _TALL = 0.14, 0.16, 0.73  # of the axes, as shares of the figure
# kind of network -> name in a figure, matching task that it is tested on
KINDS = {
    "single": ("single branch", "v2f"),
    "two": ("two-branch", "v2f"),
    "voice": ("voice only", "v2v"),
    "face": ("face only", "f2f"),
}


@dataclass(frozen=True)
class Plot:
    """A figure with the name of its files and a sentence that says what it shows."""

    name: str
    caption: str
    figure: Figure


def canvas(right: float) -> tuple[Figure, Axes]:
    """A figure whose axes end at `right`, a share of its width: labels stand beyond."""
    figure = Figure(figsize=(_WIDTH, _HEIGHT))
    return figure, figure.add_axes((_LEFT, _BOTTOM, right - _LEFT, _TALL))
