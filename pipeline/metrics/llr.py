"""What log-likelihood ratios are worth as such, and not by their order alone: Cllr, its minimum, and actual costs.

An LLR (natural logarithm) that is right lets anybody decide at any prior and any costs. Cllr is the mean cost of all
such decisions, in bits (Brummer & du Preez 2006, "Application-independent evaluation of speaker detection"); minimum
Cllr what it would be with the best monotone map, fitted to the very trials, so that the rest is a fault of calibration.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.metrics.bootstrap import (
    FEWEST_PEOPLE,
    IdentityResamples,
    Interval,
    percentile_interval,
    reflected_interval,
)
from pipeline.metrics.rates import Floats, Mask, checked_trials

LOG_2 = float(np.log(2.0))
_CHUNK = 64  # resamples held at once
_FEW_RESAMPLES = 200  # of minimum Cllr, where they suffice: a regression each, where the other figures are sums


def cllr(ratios: ArrayLike, labels: ArrayLike) -> float:
    """Cllr in bits of LLRs (N,) with labels (N,) of 1 (same) and 0: 0 is perfect, 1 is what an LLR of 0 gives.

    (mean log2(1 + exp(-LLR)) of genuine trials + mean log2(1 + exp(LLR)) of impostors) / 2. Raises ScoreError for
    trials that allow no rate.
    """
    values, genuine = checked_trials(ratios, labels)
    costs = _bits(values, genuine)
    return float(0.5 * (costs[genuine].mean() + costs[~genuine].mean()))


def min_cllr(scores: ArrayLike, labels: ArrayLike) -> float:
    """Least Cllr, in bits, of any monotone map of scores (N,) on these trials, by pooling adjacent violators.

    It is fitted to the trials that it is measured on: of few people, no honest map comes near it. Raises ScoreError for
    trials that allow no rate.
    """
    values, genuine = checked_trials(scores, labels)
    return float(_least_cllr(values, genuine, np.ones((1, len(values))))[0])


def actual_dcf(ratios: ArrayLike, labels: ArrayLike, target_prior: float) -> float:
    """Detection cost of LLRs (N,) at the threshold that Bayes sets for `target_prior` and unit costs: a ratio.

    Normalised as minDCF, which it can reach but not undercut; over 1 the LLRs do harm. Raises ScoreError for trials
    that allow no rate.
    """
    values, genuine = checked_trials(ratios, labels)
    wrong = _wrong(values, genuine, target_prior)
    cost = target_prior * wrong[genuine].mean() + (1.0 - target_prior) * wrong[~genuine].mean()
    return float(cost / min(target_prior, 1.0 - target_prior))


@dataclass(frozen=True)
class RatioIntervals:
    """Of one list of trials."""

    cllr: Interval  # bits
    actual_dcf: Interval  # a ratio


def ratio_intervals(
    ratios: ArrayLike,
    labels: ArrayLike,
    left: ArrayLike,
    right: ArrayLike,
    resamples: IdentityResamples,
    confidence: float,
    target_prior: float,
) -> RatioIntervals | None:
    """Percentile intervals of Cllr and actual DCF for LLRs (S, N) on N trials, of the mean over S models.

    `left` and `right` (N,) name both people of each trial. None where verification_intervals gives None. Raises
    ScoreError for trials that allow no rate.
    """
    rows, columns = resamples.codes(left), resamples.codes(right)
    table = np.atleast_2d(np.asarray(ratios))
    genuine = checked_trials(table[0], labels)[1]
    values = np.stack([checked_trials(row, labels)[0] for row in table])
    costs = np.stack([_bits(values, genuine), _wrong(values, genuine, target_prior)]).mean(axis=1)  # (2, N)
    prior = np.array([[0.5], [target_prior]])  # of Cllr, of the DCF
    parts = []
    for start in range(0, resamples.multiplicities.shape[1], _CHUNK):
        weights = resamples.multiplicities[:, start : start + _CHUNK]
        kinds = weights[rows[genuine]], weights[rows[~genuine]] * weights[columns[~genuine]]
        with np.errstate(invalid="ignore"):
            means = [
                costs[:, kind] @ counts / counts.sum(axis=0)
                for kind, counts in zip((genuine, ~genuine), kinds, strict=True)
            ]
        parts.append(prior * means[0] + (1.0 - prior) * means[1])  # (2, R)
    of_cllr, of_dcf = np.concatenate(parts, axis=1)
    if len(resamples.identities) < FEWEST_PEOPLE:
        return None
    own = percentile_interval(of_cllr, confidence)
    cost = percentile_interval(of_dcf / min(target_prior, 1.0 - target_prior), confidence)
    return RatioIntervals(own, cost) if own and cost else None


def least_cllr_interval(
    scores: ArrayLike,
    labels: ArrayLike,
    left: ArrayLike,
    right: ArrayLike,
    resamples: IdentityResamples,
    confidence: float,
) -> Interval | None:
    """Interval of minimum Cllr for scores (S, N), of the mean over S models, from the first 200 of the resamples.

    Above a confidence of 99 %, from as many as have one beyond each end. Reflected as that of minDCF, for the same
    reason: a minimum fits the trials that it is taken on, and more so in a resample. None where verification_intervals
    gives None.
    """
    rows, columns = resamples.codes(left), resamples.codes(right)
    used = max(_FEW_RESAMPLES, math.ceil(2.0 / (1.0 - confidence) - 1e-9))
    weights = np.ascontiguousarray(resamples.multiplicities[:, :used])
    table = [checked_trials(row, labels) for row in np.atleast_2d(np.asarray(scores))]
    genuine = table[0][1]
    counts = np.where(genuine[:, None], weights[rows], weights[rows] * weights[columns]).T.astype(np.float64)  # (R, N)
    least = [_least_cllr(values, genuine, np.ones((1, len(genuine))))[0] for values, _ in table]
    resampled = np.mean([_least_cllr(values, genuine, counts) for values, _ in table], axis=0)
    bounds = percentile_interval(resampled, confidence) if len(resamples.identities) >= FEWEST_PEOPLE else None
    return reflected_interval(bounds, float(np.mean(least))) if bounds else None


def _least_cllr(scores: Floats, genuine: Mask, counts: Floats) -> Floats:
    """Minimum Cllr (R,) of scores (N,) for weights (R, N) of the trials; NaN where one kind has none."""
    order = np.argsort(scores, kind="stable")
    genuine, counts = genuine[order], counts[:, order]
    starts = _steps(scores[order], genuine)
    right, wrong = (np.add.reduceat(counts * kind, starts, axis=1) for kind in (genuine, ~genuine))  # (R, K)
    usable = (right.sum(axis=1) > 0.0) & (wrong.sum(axis=1) > 0.0)
    least = np.full(len(counts), np.nan)
    least[usable] = [_pooled(*steps) for steps in zip(right[usable], wrong[usable], strict=True)]
    return least


def _steps(scores: Floats, genuine: Mask) -> NDArray[np.intp]:
    """First trials (K,) of the steps that a map may have, of trials in rising order of score.

    Equal scores share one, and so do neighbours of one kind: the best map is constant over them.
    """
    starts = np.append(0, np.flatnonzero(np.diff(scores)) + 1)
    shares = np.add.reduceat(genuine.astype(np.float64), starts) / np.diff(np.append(starts, len(scores)))
    alike = (shares[1:] == shares[:-1]) & ((shares[1:] == 0.0) | (shares[1:] == 1.0))
    return np.asarray(starts[np.append(True, ~alike)])


def _pooled(right: Floats, wrong: Floats) -> float:
    """Minimum Cllr of genuine and impostor weights (K,) by rising score, from the posteriors that rise with it."""
    from scipy.optimize import isotonic_regression  # here, because training imports these rates and calls none of it

    right, wrong = right / right.sum(), wrong / wrong.sum()
    total = right + wrong
    right, wrong, total = right[total > 0.0], wrong[total > 0.0], total[total > 0.0]
    posterior = isotonic_regression(right / total, weights=total).x
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = np.where(right > 0.0, -right * np.log2(posterior), 0.0)
        bits += np.where(wrong > 0.0, -wrong * np.log2(1.0 - posterior), 0.0)
    return float(0.5 * bits.sum())


def _bits(ratios: Floats, genuine: Mask) -> Floats:
    """Cost of each LLR (..., N), in bits."""
    return np.asarray(np.logaddexp(0.0, np.where(genuine, -ratios, ratios)) / LOG_2)


def _wrong(ratios: Floats, genuine: Mask, target_prior: float) -> Floats:
    """1 where Bayes decides wrongly by an LLR (..., N), else 0."""
    accepted = ratios >= np.log((1.0 - target_prior) / target_prior)
    return np.asarray(accepted != genuine, dtype=np.float64)
