"""Phenotype weights: piecewise linear, and products that sum to one."""

import numpy as np
import pytest

from tools.corpus.mesh import ANCESTRIES
from tools.corpus.phenotype import Phenotype, hat_weights, target_weights

SOMEONE = Phenotype(female=0.9, years=61, muscle=0.3, weight=0.7, ancestry=(0.2, 0.5, 0.3))


@pytest.mark.parametrize("value", [-1, 0, 0.2, 0.5, 0.77, 1, 3])
def test_hat_weights_interpolate_their_own_anchors(value: float) -> None:
    anchors = (0.0, 0.5, 1.0)
    weights = hat_weights(value, anchors)
    assert weights.sum() == pytest.approx(1)
    assert weights.min() >= 0
    assert weights @ anchors == pytest.approx(np.clip(value, 0, 1))
    assert (weights > 0).sum() <= 2


def test_an_anchor_takes_all_the_weight() -> None:
    np.testing.assert_array_equal(hat_weights(25, (12, 25, 90)), [0, 1, 0])


def test_each_family_of_targets_sums_to_one() -> None:
    weights = target_weights(SOMEONE)
    assert sum(w for name, w in weights.items() if name.startswith("universal")) == pytest.approx(1)
    assert sum(w for name, w in weights.items() if not name.startswith("universal")) == pytest.approx(1)


def test_a_target_weighs_the_product_of_its_factors() -> None:
    old = (61 - 25) / (90 - 25)
    assert target_weights(SOMEONE)["asian-female-old"] == pytest.approx(0.5 * 0.9 * old)
    found = target_weights(SOMEONE)["universal-male-young-averagemuscle-maxweight"]
    assert found == pytest.approx(0.1 * (1 - old) * 0.6 * 0.4)


def test_ancestry_weighs_nothing_but_its_own_targets() -> None:
    others = [
        {name: w for name, w in target_weights(Phenotype(0.5, 40, 0.5, 0.5, ancestry)).items() if "universal" in name}
        for ancestry in ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
    ]
    assert others[0] == others[1]
    assert all(not name.startswith("universal") for name in ANCESTRIES)
