"""Refuse scores and labels from which no rate can be computed, instead of computing one."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.errors import ScoreError

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def checked_trials(scores: ArrayLike, labels: ArrayLike) -> tuple[Floats, Mask]:
    """Scores (N,) as float64 and labels (N,) as a mask of the genuine trials.

    Raises ScoreError for lengths that differ, no trials, scores that are not finite, labels other than 0 and 1, and
    labels of one class only.
    """
    values = finite_scores(scores)
    classes = np.asarray(labels)
    if values.ndim != 1 or values.shape != classes.shape:
        raise ScoreError(f"scores {values.shape} and labels {classes.shape} must be one row each, of one length")
    if not len(values):
        raise ScoreError("no trials: EER and AUC need at least one genuine and one impostor trial")
    genuine = np.asarray(classes == 1)
    strange = np.flatnonzero(~genuine & (classes != 0))
    if len(strange):
        raise ScoreError(f"label {classes[strange[0]]} at trial {strange[0]}: labels are 1 (same person) or 0")
    if genuine.all() or not genuine.any():
        kind = "genuine" if genuine.all() else "impostor"
        raise ScoreError(f"all {len(genuine)} trials are {kind}: EER and AUC need both kinds")
    return values, genuine


def finite_scores(scores: ArrayLike) -> Floats:
    """Scores of any shape as float64; raises ScoreError naming the first that is not finite."""
    values = np.asarray(scores, dtype=np.float64)
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        first = tuple(int(position) for position in bad[0])
        raise ScoreError(f"{len(bad)} of {values.size} scores are not finite, first: {values[first]} at {first}")
    return values
