"""1:N matching: one probe, N candidates of the other modality, one of them the same person."""

import numpy as np
from numpy.typing import ArrayLike

from pipeline.errors import ScoreError
from pipeline.metrics.trials import Mask, finite_scores


def matching_hits(genuine: ArrayLike, impostors: ArrayLike, size: int) -> Mask:
    """Which probes (P,) find their person among `size` candidates: the genuine one and the first `size` - 1 impostors.

    `genuine` (P,) scores, `impostors` (P, G) with G >= size - 1. The genuine candidate must score strictly higher than
    every impostor: a tie is an error, wherever in the gallery it stands. Raises ScoreError for other shapes, galleries
    that are too small and scores that are not finite.
    """
    right, wrong = finite_scores(genuine), finite_scores(impostors)
    if right.ndim != 1 or wrong.ndim != 2 or len(right) != len(wrong) or not len(right):
        raise ScoreError(f"genuine scores {right.shape} must be (P,) and impostor scores {wrong.shape} (P, G)")
    if not 2 <= size <= wrong.shape[1] + 1:
        raise ScoreError(f"1:{size} matching needs 1 to {wrong.shape[1]} impostors a probe: set gallery_size to {size}")
    return np.asarray(right > wrong[:, : size - 1].max(axis=1))


def matching_accuracy(genuine: ArrayLike, impostors: ArrayLike, size: int) -> float:
    """Percent of probes that find their person among `size` candidates; shapes and errors as for `matching_hits`."""
    return float(100.0 * matching_hits(genuine, impostors, size).mean())
