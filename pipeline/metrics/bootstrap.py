"""Intervals that know that trials share people: identities are resampled, not trials.

A resample draws as many identities as there are, with replacement. A trial of two people then counts m_left * m_right
times, as if each copy of a person were another vertex of the graph of trials (Snijders & Borgatti 1999,
"Non-parametric standard errors and tests for network statistics"; shown valid for such pairs by Davezies,
D'Haultfoeuille & Guyonvarch 2021, Annals of Statistics 49(2)). A genuine trial has one person only and counts m times:
a copy is compared with itself.
"""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.errors import ScoreError
from pipeline.metrics.rates import Floats, checked_trials

Counts = NDArray[np.int32]
IdentityCodes = NDArray[np.intp]  # rows of IdentityResamples.multiplicities
FEWEST_PEOPLE = 5  # of a list with an interval; with fewer, resamples are too similar, and two people never differ
_USABLE = 0.95  # share of the resamples that must have a rate: those without are left out, which narrows the interval
_CHUNK = 64  # resamples held at once: 30,000 trials then take 8 MB a table


@dataclass(frozen=True)
class Interval:
    """Bounds in the unit of the figure."""

    low: float
    high: float


@dataclass(frozen=True)
class VerificationIntervals:
    """Of one list of trials."""

    eer: Interval  # percent
    auc: Interval  # percent
    min_dcf: Interval  # a ratio


class IdentityResamples:
    """How often each identity occurs in each resample; the same seed and identities give the same numbers."""

    def __init__(self, identities: ArrayLike, resamples: int, seed: int) -> None:
        """Draw `resamples` multisets of the distinct `identities`; raises ScoreError where there is none."""
        self.identities = np.unique(np.asarray(identities))
        if not len(self.identities) or resamples < 1:
            raise ScoreError(f"cannot draw {resamples} resamples of {len(self.identities)} identities")
        count = len(self.identities)
        counts = np.random.default_rng(seed).multinomial(count, np.full(count, 1.0 / count), size=resamples)
        self.multiplicities = np.ascontiguousarray(counts.T, dtype=np.int32)  # (I, R)

    def codes(self, identities: ArrayLike) -> NDArray[np.intp]:
        """Row of `multiplicities` for each of `identities` (N,); raises ScoreError for one that is not resampled."""
        names = np.asarray(identities)
        codes = np.minimum(np.searchsorted(self.identities, names), len(self.identities) - 1)
        absent = np.flatnonzero(self.identities[codes] != names)
        if len(absent):
            raise ScoreError(f"identity {str(names[absent[0]])!r} is not among those resampled")
        return codes


def verification_intervals(
    scores: ArrayLike,
    labels: ArrayLike,
    left: ArrayLike,
    right: ArrayLike,
    resamples: IdentityResamples,
    confidence: float,
    target_prior: float,
) -> VerificationIntervals | None:
    """Intervals of EER, AUC and minDCF for scores (S, N) on N trials, of the mean over S models.

    `left` and `right` (N,) name both people of each trial. EER and AUC have percentile intervals, minDCF a reflected
    one (see `reflected_interval`). Resamples that are left without genuine or impostor trials are not counted; None
    where more than a twentieth is, or the people are fewer than FEWEST_PEOPLE: the interval would be too narrow.
    How often each holds the truth: tools/benchmarks/README.md, interval_coverage. Raises ScoreError for trials that
    allow no rate.
    """
    if len(resamples.identities) < FEWEST_PEOPLE:
        return None
    rows, columns = resamples.codes(left), resamples.codes(right)
    models = [WeightedTrials(row, labels, rows, columns) for row in np.atleast_2d(np.asarray(scores))]
    parts = []
    for start in range(0, resamples.multiplicities.shape[1], _CHUNK):
        weights = np.ascontiguousarray(resamples.multiplicities[:, start : start + _CHUNK])
        parts.append(np.mean([model.rates(weights, target_prior) for model in models], axis=0))  # (3, R)
    eer, auc, cost = (percentile_interval(values, confidence) for values in np.concatenate(parts, axis=1))
    once = np.ones((len(resamples.identities), 1), dtype=np.int32)
    least = float(np.mean([model.rates(once, target_prior)[2, 0] for model in models]))
    return VerificationIntervals(eer, auc, reflected_interval(cost, least)) if eer and auc and cost else None


def mean_interval(
    values: ArrayLike, people: ArrayLike, resamples: IdentityResamples, confidence: float
) -> Interval | None:
    """Percentile interval, in percent, of the mean of values (S, Q) of S models on Q queries of `people` (Q,).

    Values are 0 to 1, such as hits of matching and retrieval. Who asks is resampled; the galleries stay as they are.
    None where verification_intervals gives None.
    """
    codes, count = resamples.codes(people), len(resamples.identities)
    shares = np.atleast_2d(np.asarray(values, dtype=np.float64)).mean(axis=0)
    found = np.bincount(codes, weights=shares, minlength=count)  # (I,)
    asked = np.bincount(codes, minlength=count)
    weights = resamples.multiplicities.astype(np.float64)
    totals = asked @ weights  # (R,)
    rates = np.divide(100.0 * (found @ weights), totals, out=np.full(len(totals), np.nan), where=totals > 0)
    return percentile_interval(rates, confidence) if len(resamples.identities) >= FEWEST_PEOPLE else None


def percentile_interval(values: Floats, confidence: float) -> Interval | None:
    """Of a figure's values (R,) in resamples; None where more than a twentieth are not numbers."""
    usable = values[np.isfinite(values)]
    if len(usable) < max(1, _USABLE * len(values)):
        return None
    low, high = np.quantile(usable, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
    return Interval(float(low), float(high))


def reflected_interval(cost: Interval, least: float) -> Interval:
    """The interval of minDCF, or of minimum Cllr, from that of its resamples and the one `least` of the list itself.

    A minimum over thresholds fits the trials it is taken on: it is lower on a list than in the population, and lower
    again, by about as much, in resamples of the list, so that percentiles hold the truth in few samples. Reflected at
    the estimate, the "basic" bootstrap (Davison & Hinkley 1997, Bootstrap Methods and their Application, 5.2), the two
    errors cancel. The estimate itself belongs to the interval, and "accept none" costs 1 at most.
    """
    return Interval(max(0.0, min(2.0 * least - cost.high, least)), min(1.0, max(2.0 * least - cost.low, least)))


class WeightedTrials:
    """Trials in falling order of score, ready to be weighted by how often each identity was sampled."""

    def __init__(self, scores: ArrayLike, labels: ArrayLike, left: IdentityCodes, right: IdentityCodes) -> None:
        """Sort scores (N,) with labels (N,) of people `left` and `right` (N,); errors as for `checked_trials`."""
        values, genuine = checked_trials(scores, labels)
        order = np.argsort(-values, kind="stable")
        values, genuine, left, right = values[order], genuine[order], left[order], right[order]
        self._genuine, self._left, self._right = left[genuine], left[~genuine], right[~genuine]
        own, other = -values[genuine], -values[~genuine]  # rising, as searchsorted needs them
        steps, sizes = np.unique(own, return_counts=True)
        self._ends = np.cumsum(sizes)  # (K,) genuine trials accepted at the k-th distinct genuine score
        self._above = np.searchsorted(other, steps, side="left")  # (K,) impostors that score higher
        self._level = np.searchsorted(other, steps, side="right")  # (K,) impostors that score as high or higher

    def rates(self, weights: Counts, target_prior: float) -> Floats:
        """EER and AUC in percent and minDCF as a ratio (3, R) for weights (I, R) of the people.

        NaN where one kind of trial has no weight.
        """
        accepted, alarms, totals, usable = self._weighted(weights)
        with np.errstate(divide="ignore", invalid="ignore"):
            percent = 100.0 * self._eer(accepted, alarms, *totals), 100.0 * self._auc(accepted, alarms, *totals)
            rates = np.stack([*percent, self._min_dcf(accepted, alarms, *totals, target_prior)])
        return np.where(usable, rates, np.nan)

    def error_rates(self, weights: Counts) -> Floats:
        """The EER of `rates` alone, (R,): two thirds of the time are the other two's."""
        accepted, alarms, totals, usable = self._weighted(weights)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(usable, 100.0 * self._eer(accepted, alarms, *totals), np.nan)

    def _weighted(self, weights: Counts) -> tuple[Counts, Counts, tuple[Floats, Floats], NDArray[np.bool_]]:
        """What is accepted and what is a false alarm down to each score, the totals, and where both have weight."""
        accepted = _running(weights[self._genuine])[np.append(0, self._ends)]  # (K + 1, R)
        alarms = _running(weights[self._left] * weights[self._right])  # (impostors + 1, R)
        totals = accepted[-1].astype(np.float64), alarms[-1].astype(np.float64)
        return accepted, alarms, totals, (totals[0] > 0) & (totals[1] > 0)

    def _auc(self, accepted: Counts, alarms: Counts, genuine: Floats, impostors: Floats) -> Floats:
        """Mann-Whitney: each genuine trial loses to the impostors above it and half of those that tie with it."""
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
