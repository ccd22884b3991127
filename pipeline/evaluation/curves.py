"""Curves for `dvc plots` and the report: a fixed set of columns, thinned, averaged over the models of a run."""

import numpy as np
import pandas as pd

from pipeline.evaluation.figures import Metrics
from pipeline.metrics import roc_curve
from pipeline.protocol.judged import learnt_tasks
from pipeline.protocol.vocabulary import MATCHING_TASKS
from pipeline.scoring.similarity import Matrix

# Shares of impostors at which the curves are read: dense at both ends, where DET plots stretch the axis. 443 points.
_GRID = np.unique(np.concatenate([np.geomspace(1e-4, 1e-2, 81), np.linspace(0.0, 0.1, 91), np.linspace(0.1, 1.0, 271)]))
_DECIMALS = 4


def roc_and_det(name: str, scores: Matrix, labels: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """ROC and DET tables, in percent, of scores (S, N): the models' mean at fixed shares of accepted impostors.

    Each share shows the best operating point that accepts no more impostors than that: nothing is interpolated.
    """
    hits = np.mean([_true_accepts(row, labels) for row in scores], axis=0)
    shared = {"list": name, "false_accept_rate": np.round(100.0 * _GRID, _DECIMALS)}
    roc = pd.DataFrame({**shared, "true_accept_rate": np.round(100.0 * hits, _DECIMALS)})
    det = pd.DataFrame({**shared, "false_reject_rate": np.round(100.0 * (1.0 - hits), _DECIMALS)})
    return roc, det


def no_curves() -> tuple[pd.DataFrame, pd.DataFrame]:
    """ROC and DET tables without a row, for a run whose own list is absent."""
    shared = ["list", "false_accept_rate"]
    return pd.DataFrame(columns=[*shared, "true_accept_rate"]), pd.DataFrame(columns=[*shared, "false_reject_rate"])


def matching_curve(matching: Metrics, modality: str = "both") -> pd.DataFrame:
    """Accuracy in percent against size of gallery, a column a task, empty where a task has no list.

    `task` names the first direction that a run of `modality` has learnt and that has a list, and `accuracy` is of it,
    so that one plot can show runs of different modalities, each by what it was trained for; empty where there is none.
    """
    rows: dict[int, dict[str, float]] = {}
    for task in MATCHING_TASKS:
        group = matching.get(task, {})
        for size, figures in group.items() if isinstance(group, dict) else ():
            if isinstance(figures, dict) and isinstance(accuracy := figures["accuracy"], float):
                rows.setdefault(int(size), {})[task] = round(accuracy, _DECIMALS)
    table = pd.DataFrame([{"size": size, **rows[size]} for size in sorted(rows)])
    table = table.reindex(columns=["size", "task", "accuracy", *MATCHING_TASKS])
    learnt = [task.name for task in learnt_tasks(modality, MATCHING_TASKS)]
    shown = next((task for task in learnt if table[task].notna().any()), None)
    return table.assign(task=shown, accuracy=table[shown]) if shown else table


def _true_accepts(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    curve = roc_curve(scores, labels)
    return np.asarray(curve.true_accepts[np.searchsorted(curve.false_accepts, _GRID, side="right") - 1])
