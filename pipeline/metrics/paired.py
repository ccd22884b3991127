"""Whether one run is better than another on the same trials, or lucky in its people and its seeds.

Two things are by chance: which people are tested, and with which seeds networks were trained. The difference D of two
runs' mean EER over their seeds has the variance

    var(D) = var over resamples of the people (the same ones for both runs) + s_1^2 / S_1 + s_2^2 / S_2

with the deviation s and the number S of each run's seeds; of a run of one seed the last term is 0. D / sqrt(var(D)) is
then held against Student's t, its degrees of freedom by Satterthwaite (1946, "An approximate distribution of estimates
of variance components"): one less than the people, or than the resamples where they are fewer, for the first term, one
less than the seeds for the others.
tests/pipeline/metrics/test_paired.py measures how often equal runs are called different: 2 to 4 % where 5 are allowed;
of people alone, without the seeds, up to 7.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from pipeline.metrics.bootstrap import FEWEST_PEOPLE, IdentityResamples, Interval, WeightedTrials
from pipeline.metrics.rates import Floats, equal_error_rate

_CHUNK = 64  # resamples held at once


@dataclass(frozen=True)
class ResampledEER:
    """The EER of one run on one list, in percent."""

    models: Floats  # (S,) of each model, on the list itself
    resampled: Floats  # (R,) mean over the models on each resample; NaN where it has no rate
    people: int  # I

    @property
    def mean(self) -> float:
        """Over the models."""
        return float(self.models.mean())


@dataclass(frozen=True)
class Difference:
    """Of the mean EER of one run less that of another, in points."""

    value: float
    interval: Interval | None
    p: float  # of a difference so large between equal runs, 0 to 1; not a number where there are too few people


def resampled_eer(
    scores: ArrayLike, labels: ArrayLike, left: ArrayLike, right: ArrayLike, resamples: IdentityResamples
) -> ResampledEER:
    """EER for scores (S, N) on N trials of people `left` and `right` (N,), on the list and on every resample.

    Raises ScoreError for trials that allow no rate, and for people who are not resampled.
    """
    rows, columns = resamples.codes(left), resamples.codes(right)
    table = np.atleast_2d(np.asarray(scores))
    models = [WeightedTrials(row, labels, rows, columns) for row in table]
    starts = range(0, resamples.multiplicities.shape[1], _CHUNK)
    weights = [np.ascontiguousarray(resamples.multiplicities[:, start : start + _CHUNK]) for start in starts]
    means = [np.mean([model.error_rates(part) for model in models], axis=0) for part in weights]
    rates = np.array([equal_error_rate(row, labels) for row in table])
    return ResampledEER(rates, np.concatenate(means), len(resamples.identities))


def eer_difference(one: ResampledEER, other: ResampledEER, confidence: float) -> Difference:
    """Of two runs on the same trials, both over the same resamples of the same people."""
    value = one.mean - other.mean
    steps = (one.resampled - other.resampled)[np.isfinite(one.resampled) & np.isfinite(other.resampled)]
    if one.people < FEWEST_PEOPLE or len(steps) < 2:
        return Difference(value, None, float("nan"))
    parts = [(float(steps.var(ddof=1)), min(one.people, len(steps)) - 1)]
    for count, models in ((len(run.models), run.models) for run in (one, other)):
        parts += [(float(models.var(ddof=1)) / count, count - 1)] if count > 1 else []
    variance = sum(part for part, _ in parts)
    if variance == 0.0:  # the same scores, or the same decisions
        return Difference(value, Interval(value, value), 1.0 if value == 0.0 else 0.0)
    freedom = variance**2 / sum(part**2 / count for part, count in parts)
    width = float(stdtrit(freedom, 0.5 + confidence / 2.0)) * variance**0.5
    p = 2.0 * float(stdtr(freedom, -abs(value) / variance**0.5))
    return Difference(value, Interval(value - width, value + width), p)


def holm(values: Sequence[float]) -> list[float]:
    """p-values of several tests, raised so that all are right at once with the stated error (Holm 1979).

    The k-th smallest of m is multiplied by m - k + 1, and is at least as large as the one before it. One that is not a
    number stays so, and is no test.
    """
    tested = sorted((value, position) for position, value in enumerate(values) if np.isfinite(value))
    raised, largest = [float("nan")] * len(values), 0.0
    for rank, (value, position) in enumerate(tested):
        largest = max(largest, min(1.0, value * (len(tested) - rank)))
        raised[position] = largest
    return raised
