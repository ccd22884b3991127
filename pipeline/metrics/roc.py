"""The exact receiver operating characteristic: one point for each distinct score."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipeline.metrics.trials import Floats, checked_trials


@dataclass(frozen=True)
class RocCurve:
    """Operating points from "accept none" to "accept all"; a trial is accepted when its score >= threshold."""

    false_accepts: Floats  # (K,) share of impostors accepted, 0 to 1, rising
    true_accepts: Floats  # (K,) share of genuine trials accepted, 0 to 1, rising
    thresholds: Floats  # (K,) falling, the first one infinite


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
