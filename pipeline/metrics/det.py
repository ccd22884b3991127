"""Detection error trade-off and the least detection cost, as speaker recognition reports them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipeline.metrics.roc import RocCurve, roc_curve
from pipeline.metrics.trials import Floats


@dataclass(frozen=True)
class DetCurve:
    """Error rates in percent at each operating point, thresholds falling (Martin et al. 1997)."""

    false_accepts: Floats  # (K,) rising
    false_rejects: Floats  # (K,) falling
    thresholds: Floats  # (K,)


def det_curve(scores: ArrayLike, labels: ArrayLike) -> DetCurve:
    """Both error rates of scores (N,) against labels (N,); raises ScoreError for trials that allow no rate."""
    curve = roc_curve(scores, labels)
    return DetCurve(100.0 * curve.false_accepts, 100.0 * (1.0 - curve.true_accepts), curve.thresholds)


def min_dcf(scores: ArrayLike, labels: ArrayLike, target_prior: float) -> float:
    """Least detection cost over all thresholds, for unit costs and `target_prior` in (0, 1): a ratio, not a percentage.

    Normalised by the better of "accept all" and "reject all" (NIST SRE 2008 plan, section 4), so that 1.0 means the
    scores decide nothing. Raises ScoreError for trials that allow no rate.
    """
    return min_dcf_of(roc_curve(scores, labels), target_prior)


def min_dcf_of(curve: RocCurve, target_prior: float) -> float:
    """Least normalised detection cost of an exact curve."""
    misses = target_prior * (1.0 - curve.true_accepts)
    alarms = (1.0 - target_prior) * curve.false_accepts
    return float(np.min(misses + alarms) / min(target_prior, 1.0 - target_prior))
