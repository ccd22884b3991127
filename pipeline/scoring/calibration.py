"""What a score means: a monotone map from it to a log-likelihood ratio, and thresholds, of validation people.

The log-likelihood ratio (LLR, natural logarithm) says how much likelier a score is of one person than of two; beside a
prior it gives a probability. Where validation holds too few people to say, there is a reason instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.errors import ScoreError

Floats = NDArray[np.float64]
THRESHOLDS = ("eer", "far_1", "far_10")  # at the equal error rate, and at 1 and 10 % of impostors accepted


@dataclass(frozen=True)
class Calibration:
    """What the scores of one model on one task mean; LLR = slope * score + offset, slope > 0.

    With a `reason` there is no such map, and there may be thresholds all the same: they are then of few people, too.
    """

    people: int = 0  # validation identities in its trials
    slope: float | None = None
    offset: float | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)  # of THRESHOLDS -> least score that is accepted
    reason: str = ""  # why there is no map; empty where there is one

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
        log_odds = self.log_likelihood_ratio(scores) + np.log(prior / (1.0 - prior))
        return np.asarray(np.exp(-np.logaddexp(0.0, -log_odds)))


def absent(reason: str) -> Calibration:
    """No map and no thresholds."""
    return Calibration(reason=reason)
