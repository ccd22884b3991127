"""Where the right person ranks: 1:N matching, among N candidates, and retrieval, among the whole gallery."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.errors import ScoreError
from pipeline.metrics.rates import Mask, finite_scores

DEPTHS = (1, 5, 10)  # the K of R@K that the field reports


def matching_hits(genuine: ArrayLike, impostors: ArrayLike, size: int) -> Mask:
    """Which probes (P,) find their person among `size` candidates: the genuine one and the first `size` - 1 impostors.

    A probe is of one modality, its candidates are of one modality, and one of them is of the probe's person.
    `genuine` (P,) scores, `impostors` (P, G) with G >= size - 1. The genuine candidate must score strictly higher than
    every impostor: a tie is an error, wherever it is in the gallery. Raises ScoreError for other shapes, galleries
    that are too small and scores that are not finite.
    """
    right, wrong = finite_scores(genuine), finite_scores(impostors)
    if right.ndim != 1 or wrong.ndim != 2 or len(right) != len(wrong) or not len(right):
        raise ScoreError(f"genuine scores {right.shape} must be (P,) and impostor scores {wrong.shape} (P, G)")
    if not 2 <= size <= wrong.shape[1] + 1:
        raise ScoreError(f"1:{size} matching needs 1 to {wrong.shape[1]} impostors a probe: set gallery_size to {size}")
    return np.asarray(right > wrong[:, : size - 1].max(axis=1))


@dataclass(frozen=True)
class RetrievalRates:
    """What each of the Q queries that have their person in the gallery found there, and percentages over them."""

    people: NDArray[Any]  # (Q,) identity of each query
    first: NDArray[np.intp]  # (Q,) rank of the person's best item, from 1
    precision: NDArray[np.float64]  # (Q,) average precision, 0 to 1

    def hits(self, depth: int) -> Mask:
        """(Q,) which queries have their person among the first `depth` items."""
        return np.asarray(self.first <= depth)

    @property
    def recall(self) -> dict[int, float]:
        """R@K in percent by K."""
        return {depth: float(100.0 * self.hits(depth).mean()) for depth in DEPTHS}

    @property
    def mean_average_precision(self) -> float:
        """Percent."""
        return float(100.0 * self.precision.mean())

    @property
    def queries(self) -> int:
        """Q."""
        return len(self.first)


def retrieval_rates(scores: NDArray[np.float32], queries: ArrayLike, gallery: ArrayLike) -> RetrievalRates:
    """Rates of scores (Q, G), higher = same person, between queries (Q,) and gallery (G,) of named identities.

    An item that ties with another person's ranks behind it. Raises ScoreError for other shapes, scores that are not
    finite and queries of which none has its person in the gallery.
    """
    people, others = np.asarray(queries), np.asarray(gallery)
    if scores.shape != (len(people), len(others)):
        raise ScoreError(f"scores {scores.shape} do not fit {len(people)} queries and {len(others)} gallery items")
    if not np.isfinite(scores).all():
        raise ScoreError(f"{int((~np.isfinite(scores)).sum())} of {scores.size} retrieval scores are not finite")
    asking, first, precision = [], [], []
    for identity in np.unique(people):
        relevant = np.flatnonzero(others == identity)
        for query in np.flatnonzero(people == identity) if len(relevant) else ():
            ranks = _ranks_of(scores[query], relevant)
            asking.append(people[query])
            first.append(ranks[0])
            precision.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
    if not first:
        raise ScoreError("no query has its person in the gallery: retrieval has nothing to find")
    return RetrievalRates(np.array(asking), np.array(first), np.array(precision))


def _ranks_of(scores: NDArray[np.float32], relevant: NDArray[np.intp]) -> NDArray[np.intp]:
    """Ranks (R,), from 1, rising, of the items `relevant` (R,) among scores (G,), each behind whatever it ties with."""
    own = np.sort(scores[relevant])  # (R,) rising
    at_least = len(scores) - np.searchsorted(np.sort(scores), own, side="left")  # of all items
    own_at_least = len(own) - np.searchsorted(own, own, side="left")
    impostors = (at_least - own_at_least)[::-1]  # best item first
    return np.asarray(impostors + np.arange(1, len(own) + 1))
