"""Figures 3 and 4: matching accuracy against the size of the gallery."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from pipeline.report import paper
from pipeline.report.plot import KINDS, Plot, canvas
from pipeline.report.runs import Run
from pipeline.report.theme import MUTED, look

_GAP = 6.5  # percent, least distance of two labels
_LEADER = 0.5  # candidates, from a line's end to its label


@dataclass(frozen=True)
class _End:
    """The right end of a line, and its name."""

    size: float
    accuracy: float
    name: str
    color: str


def figure_3(runs: Mapping[str, Run], loss: str, suffix: str) -> list[Plot]:
    """One panel: the networks of a loss, by kind; none where no run has a matching list."""
    figure, axes = canvas(0.7)
    ends = []
    for number, (kind, (name, task)) in enumerate(KINDS.items()):
        if kind in runs and (end := _draw(axes, runs[kind], task, number, name)):
            ends.append(end)
    if not ends:
        return []
    _finish(axes, f"Matching, {paper.LOSSES[loss]}", ends)
    caption = (
        f"Figure 3, {paper.LOSSES[loss]}: matching accuracy against the size of the gallery. Single branch and "
        "two-branch: voice to face; one modality: among its own kind."
    )
    return [Plot(f"figure3_{loss}{suffix}", caption, figure)]


def figure_4(runs: Mapping[str, Run], suffix: str) -> Plot:
    """The single-branch runs by loss, on top of other methods' published curves."""
    figure, axes = canvas(0.56)
    ends = []
    for name, values in paper.FIGURE_4.items():
        axes.plot(paper.FIGURE_4_SIZES, values, color=MUTED, linewidth=0.9)
        ends.append(_End(paper.FIGURE_4_SIZES[-1], values[-1], name, MUTED))
    own = [
        _draw(axes, run, "v2f", number, f"{paper.LOSSES[loss]}, ours")
        for number, (loss, run) in enumerate(runs.items())
    ]
    _finish(axes, "Matching, voice to face", [*ends, *(end for end in own if end)])
    caption = (
        "Figure 4: matching, voice to face. Grey: other methods on VoxCeleb1, read off published plots, approximate. "
        "Colour: our single-branch runs on the corpus of this report."
    )
    return Plot(f"figure4{suffix}", caption, figure)


def _draw(axes: Axes, run: Run, task: str, number: int, name: str) -> _End | None:
    """Draw a run's accuracies; None where it has no such list."""
    sizes = sorted(int(size) for size in run.group("matching", task) if size.isdigit())
    figures = [run.measured("matching", task, str(size), "accuracy") for size in sizes]
    values = [figure.value for figure in figures if figure]
    if not sizes or len(values) != len(sizes):
        return None
    style = look(number)
    axes.plot(sizes, values, color=style.color, linestyle=style.dashes, marker=style.marker)
    return _End(sizes[-1], values[-1], name + run.mark, style.color)


def _finish(axes: Axes, title: str, ends: list[_End]) -> None:
    last = max(end.size for end in ends)
    sizes = np.linspace(2, last, 50)
    axes.plot(sizes, 100.0 / sizes, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    ticks = sorted({2, *(size for size in paper.FIGURE_4_SIZES if size <= last), last})
    axes.set(title=title, xlabel="candidates, N", ylabel="accuracy, %", ylim=(0, 100), xticks=ticks)
    _name_ends(axes, [*ends, _End(last, 100.0 / last, "chance", MUTED)])


def _name_ends(axes: Axes, ends: list[_End]) -> None:
    """Name each line at its right end; names too close to each other move up, with a leader back to their line."""
    ordered = sorted(ends, key=lambda end: end.accuracy)
    places: list[float] = []
    for end in ordered:
        places.append(max(end.accuracy, places[-1] + _GAP) if places else end.accuracy)
    surplus = max(0.0, places[-1] - 100.0)
    edge = max(end.size for end in ends)
    for end, place in zip(ordered, places, strict=True):
        at = edge + _LEADER, place - surplus
        axes.plot((end.size, at[0]), (end.accuracy, at[1]), color=end.color, linewidth=0.5, clip_on=False)
        axes.text(at[0] + 0.1, at[1], end.name, color=end.color, va="center", fontsize=8.0)
    axes.set_xlim(2 - 0.3, edge + 0.2)
