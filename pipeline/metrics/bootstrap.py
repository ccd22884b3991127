"""Intervals that know that trials share people: identities are resampled, not trials.

A resample draws as many identities as there are, with replacement. A trial of two people then counts m_left * m_right
times, as if each copy of a person were another vertex of the graph of trials (Snijders & Borgatti 1999,
"Non-parametric standard errors and tests for network statistics"; shown valid for such pairs by Davezies,
D'Haultfoeuille & Guyonvarch 2021, Annals of Statistics 49(2)). A genuine trial has one person only and counts m times:
a copy is compared with itself.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.errors import ScoreError
from pipeline.metrics.trials import Floats, Mask
from pipeline.metrics.weighted import WeightedTrials

_CHUNK = 64  # resamples held at once: 30,000 trials then take 8 MB a table


@dataclass(frozen=True)
class Interval:
    """Bounds in percent."""

    low: float
    high: float


class IdentityResamples:
    """How often each identity occurs in each resample; the same seed and identities give the same numbers."""

    def __init__(self, identities: ArrayLike, resamples: int, seed: int) -> None:
        """Draw `resamples` multisets of the distinct `identities`; raises ScoreError where there is none."""
        self.identities = np.unique(np.asarray(identities))
        if not len(self.identities) or resamples < 1:
            raise ScoreError(f"cannot draw {resamples} resamples of {len(self.identities)} identities")
        count = len(self.identities)
        drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1.0 / count), size=resamples)
        self.multiplicities = np.ascontiguousarray(drawn.T, dtype=np.int32)  # (I, R)

    def codes(self, identities: ArrayLike) -> NDArray[np.intp]:
        """Row of `multiplicities` for each of `identities` (N,); raises ScoreError for one that was not drawn from."""
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
) -> tuple[Interval, Interval] | None:
    """Percentile intervals of EER and AUC for scores (S, N) of S models on N trials, of their mean over the models.

    `left` and `right` (N,) name both people of each trial. Resamples that are left without genuine or impostor trials
    are not counted; None where every one is. Raises ScoreError for trials that allow no rate.
    """
    rows, columns = resamples.codes(left), resamples.codes(right)
    models = [WeightedTrials(row, labels, rows, columns) for row in np.atleast_2d(np.asarray(scores))]
    eer, auc = [], []
    for start in range(0, resamples.multiplicities.shape[1], _CHUNK):
        weights = np.ascontiguousarray(resamples.multiplicities[:, start : start + _CHUNK])
        rates = np.mean([model.rates(weights) for model in models], axis=0)  # (2, R)
        eer.append(rates[0])
        auc.append(rates[1])
    bounds = [_interval(np.concatenate(values), confidence) for values in (eer, auc)]
    return (bounds[0], bounds[1]) if bounds[0] and bounds[1] else None


def matching_interval(hits: Mask, probes: ArrayLike, resamples: IdentityResamples, confidence: float) -> Interval:
    """Percentile interval of the matching accuracy from hits (S, P) of S models on probes of people `probes` (P,)."""
    codes, people = resamples.codes(probes), len(resamples.identities)
    found = np.bincount(codes, weights=np.atleast_2d(hits).mean(axis=0), minlength=people)  # (I,)
    asked = np.bincount(codes, minlength=people)
    weights = resamples.multiplicities.astype(np.float64)
    totals = asked @ weights  # (R,)
    rates = np.divide(100.0 * (found @ weights), totals, out=np.full(len(totals), np.nan), where=totals > 0)
    bounds = _interval(rates, confidence)
    if bounds is None:
        raise ScoreError("no resample holds a probe")
    return bounds


def _interval(values: Floats, confidence: float) -> Interval | None:
    usable = values[np.isfinite(values)]
    if not len(usable):
        return None
    low, high = np.quantile(usable, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
    return Interval(float(low), float(high))
