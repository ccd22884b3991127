"""What a score means: a monotone map from it to a log-likelihood ratio, and thresholds, of validation people.

The log-likelihood ratio (LLR, natural logarithm) says how much likelier a score is of one person than of two; beside a
prior it gives a probability. The map is affine, fitted by logistic regression whose trials are weighted to a prior
(Brummer & du Preez 2006, "Application-independent evaluation of speaker detection", as FoCal and BOSARIS do), and
shrunk by what so few people leave uncertain. Where validation holds too few, there is a reason instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.errors import ScoreError
from pipeline.metrics.rates import Floats, checked_trials, roc_curve

People = NDArray[np.int64]  # codes from 0
THRESHOLDS = ("eer", "far_1", "far_10")  # at the equal error rate, and at 1 and 10 % of impostors accepted
_FALSE_ACCEPTS = {"far_1": 0.01, "far_10": 0.1}
# From so many people on, nine of ten maps cost .035 of Cllr or less beyond the best one, in populations from EER 40 to
# 1 %, and .02 on average: tools/benchmarks/README.md, calibration_people.
FEWEST_CALIBRATED = 10
_STEPS, _TOLERANCE = 100, 1e-10  # of Newton's method


@dataclass(frozen=True)
class Calibration:
    """What the scores of one model on one task mean; LLR = slope * score + offset, slope > 0.

    With a `reason` there is no such map, and there may be thresholds all the same: they are then of few people, too.
    Raises ValueError for numbers that are not finite, a map that does not rise, and neither map nor reason.
    """

    people: int = 0  # validation identities in its trials
    slope: float | None = None
    offset: float | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)  # of THRESHOLDS -> least score that is accepted
    reason: str = ""  # why there is no map; empty where there is one

    def __post_init__(self) -> None:
        numbers = [value for value in (self.slope, self.offset, *dict(self.thresholds).values()) if value is not None]
        falls = self.slope is not None and self.slope <= 0.0
        if not np.isfinite(numbers).all() or falls or (self.slope is None) != bool(self.reason):
            raise ValueError(f"a calibration has finite numbers, and a rising map or a reason: found {self}")

    def log_likelihood_ratio(self, scores: ArrayLike) -> Floats:
        """LLRs (...) of scores (...), rising with them; raises ScoreError with the reason where there is no map."""
        if self.slope is None or self.offset is None:
            raise ScoreError(f"scores have no probability: {self.reason}")
        return self.slope * np.asarray(scores, dtype=np.float64) + self.offset

    def probability(self, scores: ArrayLike, prior: float) -> Floats:
        """Probabilities (...) of one person for scores (...), where a share `prior` in (0, 1) of pairs is of one.

        Raises ScoreError with the reason where there is no map, and for another prior.
        """
        if not 0.0 < prior < 1.0:
            raise ScoreError(f"prior {prior} of a genuine pair must be above 0 and below 1")
        return _sigmoid(self.log_likelihood_ratio(scores) + log_odds(prior))


def absent(reason: str) -> Calibration:
    """No map and no thresholds."""
    return Calibration(reason=reason)


@dataclass(frozen=True)
class AffineMap:
    """Scores to LLRs."""

    slope: float
    offset: float

    def __call__(self, scores: ArrayLike) -> Floats:
        """LLRs (...) of scores (...)."""
        return self.slope * np.asarray(scores, dtype=np.float64) + self.offset

    def after(self, first: "AffineMap") -> "AffineMap":
        """The map that applies `first` and then this one."""
        return AffineMap(self.slope * first.slope, self.slope * first.offset + self.offset)


def logistic_map(scores: ArrayLike, labels: ArrayLike, prior: float) -> AffineMap:
    """The map that minimises the cross entropy of scores (N,) with labels (N,), genuine trials weighted to `prior`.

    Genuine trials count as `prior` together however many they are, impostors as the rest. The labels are Platt's
    (1999): (n + 1) / (n + 2) of n trials and not 1, so that scores which separate all trials have a finite slope.
    Raises ScoreError as `checked_trials` does, and where all scores are equal.
    """
    return _Logistic(scores, labels, prior).fitted


def shrunken_map(scores: ArrayLike, labels: ArrayLike, left: People, right: People, prior: float) -> AffineMap:
    """The same, towards an LLR of 0 by what a fit on these people leaves uncertain: `left` and `right` (N,), codes.

    Averaged over what the log-odds could as well be, a probability is nearer to one half, by 1 / sqrt(1 + pi v / 8)
    for their variance v (MacKay 1992, "The evidence framework applied to classification networks"): v is the mean over
    the trials, robust to trials that share people (Liang & Zeger 1986; a trial of two belongs to both).
    """
    logistic = _Logistic(scores, labels, prior)
    share = 1.0 / np.sqrt(1.0 + np.pi / 8.0 * logistic.variance(left, right))
    return AffineMap(float(share * logistic.fitted.slope), float(share * logistic.fitted.offset))


class _Logistic:
    """A logistic regression of labels on scores, and how far it would be off with other people."""

    def __init__(self, scores: ArrayLike, labels: ArrayLike, prior: float) -> None:
        values, genuine = checked_trials(scores, labels)
        if values.min() == values.max():
            raise ScoreError(f"all {len(values)} scores are {values[0]:g}: there is no map from them")
        self.prior, mean, spread = prior, float(values.mean()), float(values.std())
        standard = (values - mean) / spread
        self.design = np.stack([standard, np.ones_like(standard)])  # (2, N)
        counts = int(genuine.sum()), int((~genuine).sum())
        self.weights = np.where(genuine, prior / counts[0], (1.0 - prior) / counts[1])
        self.targets = np.where(genuine, (counts[0] + 1.0) / (counts[0] + 2.0), 1.0 / (counts[1] + 2.0))
        self.found = self._minimum()
        slope = float(self.found[0]) / spread
        self.fitted = AffineMap(slope, float(self.found[1]) - slope * mean - log_odds(prior))

    def variance(self, left: People, right: People) -> float:
        """Mean over the trials of the variance of the log-odds over people.

        Weighted by what each trial says of the map, which is most where its probability is near one half: there a
        wrong slope costs most, and of scores far off it any slope would say the same.
        """
        pulls = self.design * (self.weights * self._residuals(self.found))  # (2, N)
        people = int(max(left.max(), right.max())) + 1
        two = left != right
        own = np.stack([np.bincount(left, row, people) + np.bincount(right, row * two, people) for row in pulls])
        inverse = np.linalg.inv(self._curvature(self.found))
        count = len(np.unique(np.concatenate([left, right])))
        covariance = inverse @ (own @ own.T) @ inverse * (count / (count - 1.0))
        likely = _sigmoid(self.found @ self.design)
        said = self.weights * likely * (1.0 - likely)
        variances = np.einsum("in,ij,jn->n", self.design, covariance, self.design)
        return float(said @ variances / said.sum())

    def _minimum(self) -> Floats:
        """Newton's method, steps halved where they do not descend: the cross entropy is convex."""
        at = np.array([0.0, log_odds(self.prior)])
        loss = self._loss(at)
        for _ in range(_STEPS):
            step = np.linalg.solve(self._curvature(at), self.design @ (self.weights * self._residuals(at)))
            share = 1.0
            while (tried := self._loss(at - share * step)) > loss and share > _TOLERANCE:
                share /= 2.0
            at, loss = at - share * step, tried
            if np.abs(share * step).max() < _TOLERANCE:
                break
        return at

    def _loss(self, at: Floats) -> float:
        odds = at @ self.design
        return float(self.weights @ (np.logaddexp(0.0, odds) - self.targets * odds))

    def _residuals(self, at: Floats) -> Floats:
        return _sigmoid(at @ self.design) - self.targets

    def _curvature(self, at: Floats) -> Floats:
        likely = _sigmoid(at @ self.design)
        return (self.design * (self.weights * likely * (1.0 - likely))) @ self.design.T


def score_thresholds(scores: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """Least accepted score by name of THRESHOLDS; a share of impostors that too few of them could show is left out.

    `eer` is where false accepts are first no rarer than false rejects; the others are the lowest score down to which
    no more than that share of impostors is accepted. Raises ScoreError as `checked_trials` does.
    """
    curve = roc_curve(scores, labels)
    impostors = int((np.asarray(labels) == 0).sum())
    found = {"eer": int(np.argmax(curve.false_accepts >= 1.0 - curve.true_accepts))}
    for name, share in _FALSE_ACCEPTS.items():
        if impostors * share >= 1.0:
            found[name] = int(np.searchsorted(curve.false_accepts, share, side="right")) - 1
    return {name: float(curve.thresholds[at]) for name, at in found.items() if at > 0}


def log_odds(prior: float) -> float:
    """Natural logarithm of prior / (1 - prior)."""
    return float(np.log(prior / (1.0 - prior)))


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(np.exp(-np.logaddexp(0.0, -values)))
