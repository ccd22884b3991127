"""How well anybody could do in the planted world: trials scored by its own likelihood ratio.

It is that of a face and a voice of one person against those of two, from their coordinates before they are mixed. It
knows every strength and distribution, and how poor a row is: nothing learnt can do better.
"""

from pathlib import Path

import numpy as np
from scipy import special, stats

from pipeline.metrics import equal_error_rate, roc_auc
from pipeline.protocol import read_protocol
from pipeline.protocol.vocabulary import CROSS_MODAL, RANDOM, UNSEEN
from tools.benchmarks.voxceleb_scale.planted import (
    AGE_MEAN,
    AGE_RANGE,
    AGE_SCALE,
    AGES,
    FACE,
    VOICE,
    WOMEN,
    Codes,
    Planted,
    Rows,
    Strengths,
    Vector,
    accents,
    nationality_shares,
)

_PERSON, _ACCENT, _SHARED = slice(0, 2), slice(2, 3), slice(3, None)  # of the coordinates


def log_likelihood_ratios(
    world: Planted, faces: Codes, voices: Codes, face: Strengths = FACE, voice: Strengths = VOICE
) -> Vector:
    """(N,) of N trials of rows `faces` and rows `voices` of a world made with these strengths; natural logarithm."""
    sides = (world.faces, faces, face), (world.voices, voices, voice)
    ages, age_weights = _gender_and_age()
    accent = accents()[:, None]
    of_age = [_log_densities(rows, at, _PERSON, _shown(ages, own)) for rows, at, own in sides]
    of_accent = [_log_densities(rows, at, _ACCENT, own.accent * accent) for rows, at, own in sides]
    return _of_profiles(age_weights, *of_age) + _of_profiles(nationality_shares(), *of_accent) + _of_shared(*sides)


def limits(world: Planted, protocol: Path) -> dict[str, float]:
    """EER and AUC on the protocol's random test list, percent, and AUC on those of criteria G and A."""
    tables = read_protocol(protocol)
    found = {}
    for name, column in ((RANDOM.name, "auc"), ("G", "auc_g"), ("A", "auc_a")):
        trials = tables.trials("test", UNSEEN.name, CROSS_MODAL.name, name)
        rows = {
            side: trials[f"{at}_row"].to_numpy(np.int64)
            for side, at in zip(CROSS_MODAL.sides, ("left", "right"), strict=True)
        }
        scores, labels = log_likelihood_ratios(world, rows["face"], rows["voice"]), trials["label"].to_numpy()
        found[column] = roc_auc(scores, labels)
        if name == RANDOM.name:
            found["eer"] = equal_error_rate(scores, labels)
    return found


def _gender_and_age() -> tuple[Vector, Vector]:
    """Every gender with every age (K, 2): plus or minus 1, and deviations from AGE_MEAN; and their shares (K,)."""
    years = np.arange(AGE_RANGE[0], AGE_RANGE[1] + 1)
    edges = np.concatenate([[-np.inf], years[:-1] + 0.5, [np.inf]])
    profiles, shares = [], []
    for gender, sign, share in (("f", 1.0, WOMEN), ("m", -1.0, 1.0 - WOMEN)):
        profiles.append(np.column_stack([np.full(len(years), sign), (years - AGE_MEAN) / AGE_SCALE]))
        shares.append(share * np.diff(stats.norm.cdf(edges, *AGES[gender])))
    return np.concatenate(profiles), np.concatenate(shares)


def _shown(profiles: Vector, strengths: Strengths) -> Vector:
    return np.asarray(profiles * np.array([strengths.gender, strengths.age]))


def _log_densities(rows: Rows, at: Codes, part: slice, profiles: Vector) -> Vector:
    """(N, K) of the coordinates of some rows, had their people each of K profiles; what all K share is left out."""
    seen = rows.seen[at, part].astype(np.float64)
    squares = (seen**2).sum(axis=1)[:, None] - 2.0 * seen @ profiles.T + (profiles**2).sum(axis=1)
    return np.asarray(-0.5 * squares / rows.deviation[at, None] ** 2)


def _of_profiles(weights: Vector, left: Vector, right: Vector) -> Vector:
    """(N,) ratios where a person has one of K profiles, with these weights."""
    one = special.logsumexp(left + right, axis=1, b=weights)
    return np.asarray(one - special.logsumexp(left, axis=1, b=weights) - special.logsumexp(right, axis=1, b=weights))


def _of_shared(*sides: tuple[Rows, Codes, Strengths]) -> Vector:
    """(N,) ratios of the shared latent, which a face and a voice of one person have in common: normal, correlated."""
    wide = [np.sqrt(rows.deviation[at, None] ** 2 + own.shared**2) for rows, at, own in sides]
    correlation = sides[0][2].shared * sides[1][2].shared / (wide[0] * wide[1])
    x, y = (rows.seen[at, _SHARED].astype(np.float64) / own for (rows, at, _), own in zip(sides, wide, strict=True))
    return _correlated(x, y, correlation)


def _correlated(x: Vector, y: Vector, correlation: Vector) -> Vector:
    """(N,) log density of standard normal pairs (N, S) with a correlation (N, 1), less that without any."""
    rest = 1.0 - correlation**2
    quadratic = (correlation**2 * (x**2 + y**2) - 2.0 * correlation * x * y) / rest
    return np.asarray(-0.5 * (quadratic + np.log(rest)).sum(axis=1))
