"""How much of MakeHuman's targets make a head of some gender, age, build and ancestry."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from tools.corpus.mesh import AGES, ANCESTRIES, GENDERS, GRADES

_ANCHOR_YEARS = (12, 25, 90)  # MakeHuman's child, young and old


@dataclass(frozen=True)
class Phenotype:
    """`female`, `muscle` and `weight` in 0..1, `years`, and `ancestry` weights that sum to one."""

    female: float
    years: float
    muscle: float
    weight: float
    ancestry: tuple[float, float, float]


def hat_weights(value: float, anchors: tuple[float, ...]) -> np.ndarray:
    """Piecewise-linear weights of a value between its two neighbouring anchors, held at the ends  # (len(anchors),)."""
    return np.array([np.interp(value, anchors, row) for row in np.eye(len(anchors))])


def target_weights(phenotype: Phenotype) -> dict[str, float]:
    """Weight of every macro target with a share in the phenotype: products of its factors, summing to one a family."""
    gender = dict(zip(GENDERS, (1 - phenotype.female, phenotype.female), strict=True))
    age = dict(zip(AGES, hat_weights(phenotype.years, _ANCHOR_YEARS), strict=True))
    muscle = dict(zip(GRADES, hat_weights(phenotype.muscle, (0, 0.5, 1)), strict=True))
    weight = dict(zip(GRADES, hat_weights(phenotype.weight, (0, 0.5, 1)), strict=True))
    ancestry = dict(zip(ANCESTRIES, phenotype.ancestry, strict=True))
    weights = {f"{a}-{g}-{y}": ancestry[a] * gender[g] * age[y] for a, g, y in product(ANCESTRIES, GENDERS, AGES)}
    for g, y, m, w in product(GENDERS, AGES, GRADES, GRADES):
        weights[f"universal-{g}-{y}-{m}muscle-{w}weight"] = gender[g] * age[y] * muscle[m] * weight[w]
    return {name: float(share) for name, share in weights.items() if share}
