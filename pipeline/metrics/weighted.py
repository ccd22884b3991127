"""EER, AUC and minDCF of one list of trials under many weightings of the people in it: sorted once, summed for each."""

from bisect import bisect_left

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.metrics.trials import Floats, checked_trials

Counts = NDArray[np.int32]
Codes = NDArray[np.intp]


class WeightedTrials:
    """Trials in falling order of score, ready to be weighted by how often each identity was drawn."""

    def __init__(self, scores: ArrayLike, labels: ArrayLike, left: Codes, right: Codes) -> None:
        """Sort scores (N,) with labels (N,) of people `left` and `right` (N,); errors as for `checked_trials`."""
        values, genuine = checked_trials(scores, labels)
        order = np.argsort(-values, kind="stable")
        values, genuine, left, right = values[order], genuine[order], left[order], right[order]
        self._genuine, self._left, self._right = left[genuine], left[~genuine], right[~genuine]
        own, other = -values[genuine], -values[~genuine]  # rising, as searchsorted wants them
        steps, sizes = np.unique(own, return_counts=True)
        self._ends = np.cumsum(sizes)  # (K,) genuine trials accepted at the k-th distinct genuine score
        self._above = np.searchsorted(other, steps, side="left")  # (K,) impostors that score higher
        self._level = np.searchsorted(other, steps, side="right")  # (K,) impostors that score as high or higher

    def rates(self, weights: Counts, target_prior: float) -> Floats:
        """EER and AUC in percent and minDCF as a ratio (3, R) for weights (I, R) of the people.

        NaN where one kind of trial has no weight.
        """
        accepted = _running(weights[self._genuine])[np.append(0, self._ends)]  # (K + 1, R)
        alarms = _running(weights[self._left] * weights[self._right])  # (impostors + 1, R)
        totals = accepted[-1].astype(np.float64), alarms[-1].astype(np.float64)
        usable = (totals[0] > 0) & (totals[1] > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            percent = 100.0 * self._eer(accepted, alarms, *totals), 100.0 * self._auc(accepted, alarms, *totals)
            rates = np.stack([*percent, self._min_dcf(accepted, alarms, *totals, target_prior)])
        return np.where(usable, rates, np.nan)

    def _auc(self, accepted: Counts, alarms: Counts, genuine: Floats, impostors: Floats) -> Floats:
        """Mann-Whitney: each genuine trial loses to the impostors above it and half of those level with it."""
        ahead = alarms[self._above]  # (K, R)
        tied = not np.array_equal(self._above, self._level)
        behind = alarms[self._level] if tied else ahead
        gained = np.diff(accepted, axis=0)
        lost = np.multiply(gained, ahead + behind, dtype=np.float64).sum(axis=0)  # in int32 it could overflow
        return np.asarray(1.0 - lost / (2.0 * genuine * impostors))

    def _eer(self, accepted: Counts, alarms: Counts, genuine: Floats, impostors: Floats) -> Floats:
        """Where the ROC crosses equal errors, found by bisection over the distinct genuine scores."""
        columns = np.arange(len(genuine))
        low, high = np.zeros(len(genuine), dtype=np.intp), np.full(len(genuine), len(self._ends) - 1)
        # The first step after which false accepts are no rarer than false rejects. A column that has arrived stays put:
        # one without weight on a kind of trial holds NaN, never crosses, and would step off the end.
        while np.any(searching := low < high):
            middle = (low + high) // 2
            false_accepts = alarms[self._level[middle], columns] / impostors
            crossed = false_accepts >= 1.0 - accepted[middle + 1, columns] / genuine
            low = np.where(searching & ~crossed, middle + 1, low)
            high = np.where(searching & crossed, middle, high)
        rejects = 1.0 - accepted[low, columns] / genuine, 1.0 - accepted[low + 1, columns] / genuine
        accepts = alarms[self._above[low], columns] / impostors, alarms[self._level[low], columns] / impostors
        before, after = accepts[0] - rejects[0], accepts[1] - rejects[1]
        chord = accepts[0] + (accepts[1] - accepts[0]) * (-before / (after - before))
        return np.where(before >= 0.0, rejects[0], chord)  # crossed already between two genuine scores

    def _min_dcf(
        self, accepted: Counts, alarms: Counts, genuine: Floats, impostors: Floats, target_prior: float
    ) -> Floats:
        """Least cost of "accept none" and of accepting down to each distinct genuine score: no other can be least.

        Nor can one that costs more in false accepts than "accept none" does in misses, so those are left out.
        """
        most = impostors * (target_prior / (1.0 - target_prior))
        steps = bisect_left(
            range(len(self._ends)), True, key=lambda step: bool(np.all(alarms[self._level[step]] > most))
        )
        gains = accepted[1 : steps + 1] * (target_prior / genuine)  # (steps, R)
        gains -= alarms[self._level[:steps]] * ((1.0 - target_prior) / impostors)
        least = target_prior - gains.max(axis=0, initial=0.0)
        return np.asarray(np.maximum(least, 0.0) / min(target_prior, 1.0 - target_prior))


def _running(weights: Counts) -> Counts:
    """Running sums (N + 1, R) of weights (N, R), from 0: whole numbers, so exact."""
    sums = np.zeros((len(weights) + 1, weights.shape[1]), dtype=np.int32)
    np.cumsum(weights, axis=0, out=sums[1:])
    return sums
