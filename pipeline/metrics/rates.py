"""EER, AUC and minDCF, exact: from the ROC itself, one operating point for each distinct score, on no grid.

Also the check that refuses scores and labels from which no rate can be computed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.errors import ScoreError

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class RocCurve:
    """Operating points from "accept none" to "accept all"; a trial is accepted when its score >= threshold."""

    false_accepts: Floats  # (K,) share of impostors accepted, 0 to 1, rising
    true_accepts: Floats  # (K,) share of genuine trials accepted, 0 to 1, rising
    thresholds: Floats  # (K,) falling, the first one infinite


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


def min_dcf(scores: ArrayLike, labels: ArrayLike, target_prior: float) -> float:
    """Least detection cost over all thresholds, for unit costs and `target_prior` in (0, 1): a ratio, not a percentage.

    Normalised by the better of "accept all" and "reject all" (NIST SRE 2008 plan, section 4), so that 1.0 means the
    scores decide nothing. Raises ScoreError for trials that allow no rate.
    """
    return min_dcf_of(roc_curve(scores, labels), target_prior)


def roc_curve(scores: ArrayLike, labels: ArrayLike) -> RocCurve:
    """Operating points of scores (N,) with labels (N,): 1 same person, 0 not.

    Equal scores share a point: no order among them could turn a tie into a success. Raises ScoreError as
    `checked_trials` does.
    """
    values, genuine = checked_trials(scores, labels)
    order = np.argsort(-values, kind="stable")
    values, genuine = values[order], genuine[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)
    accepted = np.cumsum(genuine)[last_of_tie]
    impostors = last_of_tie + 1 - accepted
    return RocCurve(
        np.append(0.0, impostors / impostors[-1]),
        np.append(0.0, accepted / accepted[-1]),
        np.append(np.inf, values[last_of_tie]),
    )


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


def min_dcf_of(curve: RocCurve, target_prior: float) -> float:
    """Least normalised detection cost of an exact curve."""
    misses = target_prior * (1.0 - curve.true_accepts)
    alarms = (1.0 - target_prior) * curve.false_accepts
    return float(np.min(misses + alarms) / min(target_prior, 1.0 - target_prior))


def checked_trials(scores: ArrayLike, labels: ArrayLike) -> tuple[Floats, Mask]:
    """Scores (N,) as float64 and labels (N,) as a mask of the genuine trials.

    Raises ScoreError for lengths that differ, no trials, scores that are not finite, labels other than 0 and 1, and
    labels of one class only.
    """
    values = finite_scores(scores)
    classes = np.asarray(labels)
    if values.ndim != 1 or values.shape != classes.shape:
        raise ScoreError(f"scores {values.shape} and labels {classes.shape} must be one row each, of one length")
    if not len(values):
        raise ScoreError("no trials: EER and AUC need at least one genuine and one impostor trial")
    genuine = np.asarray(classes == 1)
    strange = np.flatnonzero(~genuine & (classes != 0))
    if len(strange):
        raise ScoreError(f"label {classes[strange[0]]} at trial {strange[0]}: labels are 1 (same person) or 0")
    if genuine.all() or not genuine.any():
        kind = "genuine" if genuine.all() else "impostor"
        raise ScoreError(f"all {len(genuine)} trials are {kind}: EER and AUC need both kinds")
    return values, genuine


def finite_scores(scores: ArrayLike) -> Floats:
    """Scores of any shape as float64; raises ScoreError naming the first that is not finite."""
    values = np.asarray(scores, dtype=np.float64)
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        first = tuple(int(position) for position in bad[0])
        raise ScoreError(f"{len(bad)} of {values.size} scores are not finite, first: {values[first]} at {first}")
    return values
