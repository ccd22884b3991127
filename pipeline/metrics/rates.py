"""Equal error rate and area under the curve, exact: from the ROC itself, on no grid of thresholds."""

import numpy as np
from numpy.typing import ArrayLike

from pipeline.metrics.roc import RocCurve, roc_curve


def equal_error_rate(scores: ArrayLike, labels: ArrayLike) -> float:
    """EER in percent of scores (N,), higher = same person, with labels (N,) of 1 (same) and 0.

    The point where the ROC crosses "false accepts = false rejects"; where a tie makes the curve jump over that line,
    the crossing of the chord. Constant scores give 50. Raises ScoreError for trials that allow no rate.
    """
    return eer_of(roc_curve(scores, labels))


def roc_auc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the ROC in percent of scores (N,), higher = same person, with labels (N,) of 1 (same) and 0.

    Equals the share of (genuine, impostor) pairs in the right order, a tie counting as half of one (Mann-Whitney),
    which is what a coin would give; constant scores give 50. Raises ScoreError for trials that allow no rate.
    """
    return auc_of(roc_curve(scores, labels))


def eer_of(curve: RocCurve) -> float:
    """EER in percent of an exact curve."""
    false_rejects = 1.0 - curve.true_accepts
    excess = curve.false_accepts - false_rejects  # rises from -1 to 1, so it crosses 0 once
    after = int(np.argmax(excess >= 0.0))
    before = after - 1
    share = -excess[before] / (excess[after] - excess[before])
    step = curve.false_accepts[after] - curve.false_accepts[before]
    return float(100.0 * (curve.false_accepts[before] + share * step))


def auc_of(curve: RocCurve) -> float:
    """Area in percent under an exact curve, by trapezia."""
    return float(100.0 * np.trapezoid(curve.true_accepts, curve.false_accepts))
