"""ROC and DET curves of the cross-modal runs of Table I, a panel a loss."""

from collections.abc import Mapping
from statistics import NormalDist

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from pipeline.protocol.vocabulary import CROSS_MODAL, RANDOM
from pipeline.report import paper
from pipeline.report.plot import KINDS, Plot, canvas
from pipeline.report.runs import Run
from pipeline.report.theme import MUTED, look

_CROSS_MODAL = f"{CROSS_MODAL.name}.{RANDOM.name}"  # as roc.csv and det.csv name their list
_TICKS = (1, 2, 5, 10, 20, 40, 60, 80)  # percent, of a DET plot
_LIMITS = (0.5, 90.0)  # percent
_NORMAL = NormalDist()


def curve_plots(runs: Mapping[str, Run], loss: str, suffix: str) -> list[Plot]:
    """ROC and DET panel of a loss: single branch and two-branch; none where neither has cross-modal trials."""
    kinds = [kind for kind in ("single", "two") if kind in runs]
    rocs = {kind: curve for kind in kinds if (curve := _curve(runs[kind].roc)) is not None}
    dets = {kind: curve for kind in kinds if (curve := _curve(runs[kind].det)) is not None}
    if not rocs or not dets:
        return []
    name = paper.LOSSES[loss]
    roc, roc_axes = canvas(0.96)
    det, det_axes = canvas(0.96)
    for kind in rocs:
        label = _label(runs[kind], kind, "auc", "AUC")
        _line(roc_axes, kind, rocs[kind]["false_accept_rate"], rocs[kind]["true_accept_rate"], label)
        shown = dets[kind][(dets[kind].iloc[:, 1:] > 0).all(axis=1)]
        x, y = (shown[column].map(_probit) for column in ("false_accept_rate", "false_reject_rate"))
        _line(det_axes, kind, x, y, _label(runs[kind], kind, "eer", "EER"))
    _finish_roc(roc_axes, name)
    _finish_det(det_axes, name)
    captions = (
        f"ROC, {name}: voice against face, unseen-unheard identities, mean over seeds.",
        f"DET, {name}: the same trials; the dotted line marks equal errors.",
    )
    return [Plot(f"roc_{loss}{suffix}", captions[0], roc), Plot(f"det_{loss}{suffix}", captions[1], det)]


def _curve(table: pd.DataFrame | None) -> pd.DataFrame | None:
    return table if table is not None and len(table) and (table["list"] == _CROSS_MODAL).all() else None


def _line(axes: Axes, kind: str, x: "pd.Series[float]", y: "pd.Series[float]", label: str) -> None:
    style = look(list(KINDS).index(kind))
    axes.plot(x.to_numpy(), y.to_numpy(), color=style.color, linestyle=style.dashes, label=label)


def _label(run: Run, kind: str, measure: str, title: str) -> str:
    figure = run.measured("verification", CROSS_MODAL.name, RANDOM.name, measure)
    return KINDS[kind][0] + run.mark + (f", {title} {figure.value:.1f}" if figure else "")


def _finish_roc(axes: Axes, name: str) -> None:
    axes.plot((0, 100), (0, 100), color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.set(title=f"ROC, {name}", xlabel="impostors accepted, %", ylabel="genuine accepted, %")
    axes.set(xlim=(0, 100), ylim=(0, 100))
    axes.legend(loc="lower right", labelcolor="linecolor", handlelength=2.4)


def _finish_det(axes: Axes, name: str) -> None:
    ticks, limits = [_probit(tick) for tick in _TICKS], tuple(_probit(limit) for limit in _LIMITS)
    ends = np.array((limits[0], _probit(60.0)))  # no further: the legend stands there
    axes.plot(ends, ends, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.set(title=f"DET, {name}", xlabel="impostors accepted, %", ylabel="genuine rejected, %")
    axes.set(xlim=limits, ylim=limits)
    axes.set_xticks(ticks, [str(tick) for tick in _TICKS])
    axes.set_yticks(ticks, [str(tick) for tick in _TICKS])
    axes.legend(loc="upper right", labelcolor="linecolor", handlelength=2.4)


def _probit(percent: float) -> float:
    return _NORMAL.inv_cdf(min(max(percent / 100.0, 1e-6), 1.0 - 1e-6))
