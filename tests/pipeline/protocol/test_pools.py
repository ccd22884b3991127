"""Equal shares, against giving one at a time."""

import numpy as np
import pytest

from pipeline.protocol.pools import level


def one_at_a_time(capacities: list[int], total: int) -> list[int]:
    given = [0] * len(capacities)
    while sum(given) < total and given != capacities:  # a whole round at a time: nobody is favoured
        given = [min(now + 1, most) for now, most in zip(given, capacities, strict=True)]
    return given


@pytest.mark.parametrize("seed", range(40))
def test_everybody_gives_the_same_unless_they_have_less(seed: int) -> None:
    chance = np.random.default_rng(seed)
    capacities = chance.integers(0, 9, chance.integers(0, 12))
    total = int(chance.integers(0, 60))
    assert level(capacities, total).tolist() == one_at_a_time(capacities.tolist(), total)
