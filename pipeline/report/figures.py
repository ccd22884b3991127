"""Figures 3 and 4, matching accuracy against gallery size; ROC, DET and reliability of the runs of Table I."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.protocol.vocabulary import CROSS_MODAL, F2F, RANDOM, V2F, V2V
from pipeline.report import paper
from pipeline.report.figure_style import MUTED, SERIES, SeriesStyle, new_axes, series_style
from pipeline.report.paper_tables import sbnet_row
from pipeline.report.runs import Run

# kind of network -> name in a figure, matching task that it is tested on
KINDS = {
    "single": ("single branch", V2F.name),
    "two": ("two-branch", V2F.name),
    "voice": ("voice only", V2V.name),
    "face": ("face only", F2F.name),
}
_LABEL_GAP = 6.5  # percent, least distance of two labels
_CLOSE_LABELS = 4.2  # the same, in a taller figure
_COLOURED = 3  # methods, the best
_GREY = SeriesStyle(MUTED, "-", "")
_LEADER = 0.5  # candidates, from a line's end to its label
_CROSS_MODAL = f"{CROSS_MODAL.name}.{RANDOM.name}"  # as roc.csv and det.csv name their list
_TICKS = (1, 2, 5, 10, 20, 40, 60, 80)  # percent, of a DET plot
_LIMITS = (0.5, 90.0)  # percent
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Plot:
    """A figure with the name of its files and its caption."""

    name: str
    caption: str
    figure: Figure


@dataclass(frozen=True)
class _LineEnd:
    """The right end of a line, and its name."""

    size: float
    accuracy: float
    name: str
    color: str


def figure_3(runs: Mapping[str, Run], loss: str, suffix: str) -> list[Plot]:
    """One panel: the networks of a loss, by kind; none where no run has a matching list."""
    figure, axes = new_axes(0.7)
    ends = []
    for number, (kind, (name, task)) in enumerate(KINDS.items()):
        if kind in runs and (end := _draw_accuracies(axes, runs[kind], task, number, name)):
            ends.append(end)
    if not ends:
        return []
    _finish_matching(axes, f"Matching, {paper.LOSSES[loss]}", ends)
    caption = (
        f"Figure 3, {paper.LOSSES[loss]}: matching accuracy against the size of the gallery. Single branch and "
        "two-branch: voice to face; one modality: among its own kind."
    )
    return [Plot(f"figure3_{loss}{suffix}", caption, figure)]


def figure_4() -> Plot:
    """Other methods' published curves."""
    figure, axes = new_axes(0.56)
    ends = []
    for number, (name, values) in enumerate(paper.FIGURE_4.items()):
        style = series_style(number)
        color = style.color if number < len(SERIES) else MUTED
        axes.plot(paper.FIGURE_4_SIZES, values, color=color, linestyle=style.dashes, linewidth=1.2)
        ends.append(_LineEnd(paper.FIGURE_4_SIZES[-1], values[-1], name, color))
    _finish_matching(axes, "Matching, voice to face: published", ends)
    caption = (
        "Figure 4, published: matching, voice to face, by other methods on VoxCeleb1, each with its own encoders. Read "
        "off published plots, approximate."
    )
    return Plot("figure4", caption, figure)


def figure_4_here(compared: Sequence[tuple[str, Run]]) -> list[Plot]:
    """The runs of Table III, by its names; none where no run has the matching list.

    Names stand in the order of the curves at their right end. In colour: the best, and SBNet as published.
    """
    known = {name: run for name, run in compared if run.measured("matching", V2F.name, "2", "accuracy")}
    if not known:
        return []
    last = {name: _accuracies(run, V2F.name)[1][-1] for name, run in known.items()}
    trained = [name for name in sorted(known, key=lambda name: -last[name]) if not known[name].is_floor]
    coloured = list(dict.fromkeys([*trained[:_COLOURED], sbnet_row("fop")]))
    figure, axes = new_axes(0.5, times=1.5)
    ends = []
    for name in sorted(known, key=lambda name: name in coloured):  # colour above grey
        sizes, values = _accuracies(known[name], V2F.name)
        style = series_style(coloured.index(name)) if name in coloured else _GREY
        dashes = (0, (4, 1.5)) if known[name].is_floor else style.dashes
        width = 1.6 if name in coloured else 0.7
        axes.plot(sizes, values, color=style.color, linestyle=dashes, linewidth=width, marker=style.marker)
        ends.append(_LineEnd(sizes[-1], values[-1], f"{values[-1]:.0f} %  {name}{known[name].mark}", style.color))
    _finish_matching(axes, "Matching, voice to face: on these embeddings", ends, _CLOSE_LABELS)
    caption = (
        "Figure 4, on these embeddings: the methods of Table III, trained and tested here, mean over seeds; names in "
        f"the order of their accuracy at the right end. In colour: the {_COLOURED} best, and SBNet with FOP; dashed: "
        "the floor."
    )
    return [Plot("figure4_here", caption, figure)]


def _accuracies(run: Run, task: str) -> tuple[list[int], list[float]]:
    """Sizes of the galleries and matching accuracies of a run, in percent."""
    sizes = sorted(int(size) for size in run.group("matching", task) if size.isdigit())
    figures = [run.measured("matching", task, str(size), "accuracy") for size in sizes]
    return sizes, [figure.value for figure in figures if figure]


def _draw_accuracies(axes: Axes, run: Run, task: str, number: int, name: str) -> _LineEnd | None:
    """Draw a run's accuracies; None where it has no such list."""
    sizes, values = _accuracies(run, task)
    if not sizes or len(values) != len(sizes):
        return None
    style = series_style(number)
    axes.plot(sizes, values, color=style.color, linestyle=style.dashes, marker=style.marker)
    return _LineEnd(sizes[-1], values[-1], name + run.mark, style.color)


def _finish_matching(axes: Axes, title: str, ends: list[_LineEnd], gap: float = _LABEL_GAP) -> None:
    last = max(end.size for end in ends)
    sizes = np.linspace(2, last, 50)
    axes.plot(sizes, 100.0 / sizes, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    ticks = sorted({2, *(size for size in paper.FIGURE_4_SIZES if size <= last), last})
    axes.set(title=title, xlabel="candidates, N", ylabel="accuracy, %", ylim=(0, 100), xticks=ticks)
    _label_line_ends(axes, [*ends, _LineEnd(last, 100.0 / last, "chance", MUTED)], gap)


def _label_line_ends(axes: Axes, ends: list[_LineEnd], gap: float) -> None:
    """Name each line at its right end; names closer than `gap` percent move apart, with a leader back to their line."""
    ordered = sorted(ends, key=lambda end: end.accuracy)
    heights = apart([end.accuracy for end in ordered], gap)
    surplus = max(0.0, heights[-1] - 100.0)
    edge = max(end.size for end in ends)
    for end, height in zip(ordered, heights, strict=True):
        at = edge + _LEADER, height - surplus
        axes.plot((end.size, at[0]), (end.accuracy, at[1]), color=end.color, linewidth=0.5, clip_on=False)
        axes.text(at[0] + 0.1, at[1], end.name, color=end.color, va="center", fontsize=8.0)
    axes.set_xlim(2 - 0.3, edge + 0.2)


def apart(values: Sequence[float], gap: float) -> list[float]:
    """Rising `values`, moved as little as can be (in squares) so that neighbours are `gap` apart at least.

    What is moved by the same amount forms a block around the mean of its values: isotonic regression, pool adjacent
    violators.
    """
    blocks: list[tuple[float, int]] = []  # mean of the values less their number times gap, how many
    for number, value in enumerate(values):
        blocks.append((value - number * gap, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (low, few), (high, many) = blocks.pop(-2), blocks.pop()
            blocks.append(((low * few + high * many) / (few + many), few + many))
    flat = [mean for mean, count in blocks for _ in range(count)]
    return [mean + number * gap for number, mean in enumerate(flat)]


def curve_plots(runs: Mapping[str, Run], loss: str, suffix: str) -> list[Plot]:
    """ROC and DET panel of a loss: single branch and two-branch; none where neither has cross-modal trials."""
    kinds = [kind for kind in ("single", "two") if kind in runs]
    rocs = {kind: curve for kind in kinds if (curve := _curve(runs[kind].roc)) is not None}
    dets = {kind: curve for kind in kinds if (curve := _curve(runs[kind].det)) is not None}
    if not rocs or not dets:
        return []
    name = paper.LOSSES[loss]
    roc, roc_axes = new_axes(0.96)
    det, det_axes = new_axes(0.96)
    for kind in rocs:
        label = _curve_label(runs[kind], kind, "auc", "AUC")
        _draw_line(roc_axes, kind, rocs[kind]["false_accept_rate"], rocs[kind]["true_accept_rate"], label)
        shown = dets[kind][(dets[kind].iloc[:, 1:] > 0).all(axis=1)]
        x, y = (shown[column].map(_probit) for column in ("false_accept_rate", "false_reject_rate"))
        _draw_line(det_axes, kind, x, y, _curve_label(runs[kind], kind, "eer", "EER"))
    _finish_roc(roc_axes, name)
    _finish_det(det_axes, name)
    captions = (
        f"ROC, {name}: voice against face, unseen-unheard identities, mean over seeds.",
        f"DET, {name}: the same trials; the dotted line marks equal errors.",
    )
    return [Plot(f"roc_{loss}{suffix}", captions[0], roc), Plot(f"det_{loss}{suffix}", captions[1], det)]


def reliability_plots(runs: Mapping[str, Run], loss: str, suffix: str) -> list[Plot]:
    """Reliability diagram of a loss, as curve_plots; none where no scores were calibrated."""
    found = {
        kind: table
        for kind in ("single", "two")
        if kind in runs and (table := _curve(runs[kind].reliability)) is not None
    }
    if not found:
        return []
    name = paper.LOSSES[loss]
    figure, axes = new_axes(0.96)
    for kind, table in found.items():
        _draw_line(axes, kind, table["probability"], table["genuine"], _curve_label(runs[kind], kind, "cllr", "Cllr"))
    axes.plot((0, 100), (0, 100), color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.set(title=f"Reliability, {name}", xlabel="probability by the score, %", ylabel="genuine, %")
    axes.set(xlim=(0, 100), ylim=(0, 100))
    axes.legend(loc="upper left", labelcolor="linecolor", handlelength=2.4)
    caption = (
        f"Reliability, {name}: how often a pair of voice and face is of one person, by the probability that its score "
        "was calibrated to on validation people, where half of all pairs are; trials of all seeds in bins of equal "
        "size. On the dotted line probabilities mean what they say."
    )
    return [Plot(f"reliability_{loss}{suffix}", caption, figure)]


def _curve(table: pd.DataFrame | None) -> pd.DataFrame | None:
    return table if table is not None and len(table) and (table["list"] == _CROSS_MODAL).all() else None


def _draw_line(axes: Axes, kind: str, x: "pd.Series[float]", y: "pd.Series[float]", label: str) -> None:
    style = series_style(list(KINDS).index(kind))
    axes.plot(x.to_numpy(), y.to_numpy(), color=style.color, linestyle=style.dashes, label=label)


def _curve_label(run: Run, kind: str, measure: str, title: str) -> str:
    figure = run.measured("verification", CROSS_MODAL.name, RANDOM.name, measure)
    return KINDS[kind][0] + run.mark + (f", {title} {figure.value:.{2 if measure == 'cllr' else 1}f}" if figure else "")


def _finish_roc(axes: Axes, name: str) -> None:
    axes.plot((0, 100), (0, 100), color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.set(title=f"ROC, {name}", xlabel="impostors accepted, %", ylabel="genuine accepted, %")
    axes.set(xlim=(0, 100), ylim=(0, 100))
    axes.legend(loc="lower right", labelcolor="linecolor", handlelength=2.4)


def _finish_det(axes: Axes, name: str) -> None:
    ticks, limits = [_probit(tick) for tick in _TICKS], tuple(_probit(limit) for limit in _LIMITS)
    ends = np.array((limits[0], _probit(60.0)))  # no further: the legend is there
    axes.plot(ends, ends, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.set(title=f"DET, {name}", xlabel="impostors accepted, %", ylabel="genuine rejected, %")
    axes.set(xlim=limits, ylim=limits)
    axes.set_xticks(ticks, [str(tick) for tick in _TICKS])
    axes.set_yticks(ticks, [str(tick) for tick in _TICKS])
    axes.legend(loc="upper right", labelcolor="linecolor", handlelength=2.4)


def _probit(percent: float) -> float:
    return _NORMAL.inv_cdf(min(max(percent / 100.0, 1e-6), 1.0 - 1e-6))
