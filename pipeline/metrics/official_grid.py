"""EER, AUC and accuracy as the official code computes them, to be compared with published figures only.

Source of the arithmetic: msaadsaeed/SBNet, ssnet_fop/online_evaluation.py (`evaluate` and `test`): squared L2
distances, thresholds 0, 0.01, ..., 3.99, ten contiguous folds whose rates are averaged. The labels are not: the
official code takes them from the parity of a row, we from the list.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipeline.errors import ScoreError
from pipeline.metrics.rates import Floats, Mask, checked_trials

FOLDS = 10
THRESHOLDS = np.arange(0, 4, 0.01)  # squared L2 distance of unit vectors
_ROUNDING = 1e-3  # of float32's unit vectors


def within_grid(distances: ArrayLike) -> bool:
    """Whether squared distances (...) are of unit vectors, 0 to 4; of others the grid says nothing."""
    return bool(np.max(distances) <= 4.0 + _ROUNDING)


@dataclass(frozen=True)
class OfficialRates:
    """Percentages, 0 to 100."""

    eer: float
    auc: float
    accuracy: float


def official_rates(distances: ArrayLike, labels: ArrayLike) -> OfficialRates:
    """Rates of squared distances (N,), LOWER = same person, in the order of the list, with labels (N,).

    A trial is accepted when its distance < threshold. The EER is the mean of both error rates at the first grid point
    where they are closest; the area covers the grid only; each fold's accuracy uses the threshold best on the nine
    others. A fold without trials of a kind counts as rate 0, as there. Raises ScoreError as `checked_trials` does and
    for fewer trials than folds.
    """
    values, genuine = checked_trials(distances, labels)
    if len(values) < FOLDS:
        raise ScoreError(f"{len(values)} trials cannot fill {FOLDS} folds: use `rates: exact`")
    folds = np.array_split(np.arange(len(values)), FOLDS)
    accepted = np.array([_accepted(values[fold], genuine[fold]) for fold in folds])  # (F, 2, K)
    totals = np.array([[genuine[fold].sum(), (~genuine[fold]).sum()] for fold in folds])  # (F, 2)
    rates = (accepted / np.maximum(totals, 1)[:, :, None]).mean(axis=0)  # (2, K)
    true_accepts, false_accepts = rates
    false_rejects = 1.0 - true_accepts
    nearest = int(np.argmin(np.abs(false_accepts - false_rejects)))
    return OfficialRates(
        eer=float(50.0 * (false_accepts[nearest] + false_rejects[nearest])),
        auc=float(100.0 * np.trapezoid(true_accepts, false_accepts)),
        accuracy=_accuracy(accepted, totals),
    )


def _accepted(distances: Floats, genuine: Mask) -> Floats:
    """Counts (2, K) of genuine and impostor distances below each threshold."""
    kinds = (np.sort(distances[genuine]), np.sort(distances[~genuine]))
    return np.array([np.searchsorted(kind, THRESHOLDS, side="left") for kind in kinds], dtype=np.float64)


def _accuracy(accepted: Floats, totals: Floats) -> float:
    """Mean over folds of the accuracy in percent at the threshold that is best on the others."""
    correct = accepted[:, 0] + totals[:, 1, None] - accepted[:, 1]  # (F, K)
    best = np.argmax(correct.sum(axis=0) - correct, axis=1)  # (F,) the first of equals
    return float(100.0 * np.mean(correct[np.arange(FOLDS), best] / totals.sum(axis=1)))
