"""Latents: balanced, stable, and region apart from everything."""

from collections import Counter

import numpy as np

from tools.corpus.latents import OLDEST, REGIONS, YOUNGEST, Latents, draw_latents, driver_scores

SEED = 11
CROWD = [draw_latents(SEED, person) for person in range(1, 3001)]


def test_a_person_is_the_same_whoever_else_is_drawn() -> None:
    assert draw_latents(SEED, 17) == CROWD[16]


def test_another_seed_is_another_person() -> None:
    assert draw_latents(SEED + 1, 17) != CROWD[16]


def test_half_of_any_even_number_are_women() -> None:
    assert Counter(who.gender for who in CROWD[:128]) == {"f": 64, "m": 64}


def test_latents_keep_their_ranges() -> None:
    for who in CROWD:
        assert YOUNGEST <= who.years <= OLDEST
        assert isinstance(who.years, int)
        assert 0 <= who.size <= 1
        assert -1 <= min(who.s1, who.s2) <= max(who.s1, who.s2) <= 1
        assert abs(sum(who.ancestry) - 1) < 1e-5


def test_driver_scores_are_standardised_and_uncorrelated() -> None:
    scores = np.stack([driver_scores(who) for who in CROWD])  # (N, 4)
    np.testing.assert_allclose(scores.mean(axis=0), 0, atol=0.08)
    np.testing.assert_allclose(scores.std(axis=0), 1, atol=0.06)
    np.testing.assert_allclose(np.corrcoef(scores.T), np.eye(4), atol=0.07)


def test_region_says_nothing_of_looks_age_or_gender() -> None:
    traits = np.stack([[*driver_scores(who), *who.ancestry, who.female] for who in CROWD])  # (N, 8)
    for region in REGIONS:
        within = traits[[who.region == region for who in CROWD]]
        assert 0.2 < len(within) / len(CROWD) < 0.3
        gap = np.abs(within.mean(axis=0) - traits.mean(axis=0)) / traits.std(axis=0)
        assert gap.max() < 4 / np.sqrt(len(within))  # four standard errors


def test_driver_scores_read_neither_ancestry_nor_region_nor_gender() -> None:
    one = Latents(True, 40, 0.3, 0.1, -0.2, (1.0, 0.0, 0.0), "north")
    other = Latents(False, 40, 0.3, 0.1, -0.2, (0.0, 0.0, 1.0), "south")
    np.testing.assert_array_equal(driver_scores(one), driver_scores(other))
