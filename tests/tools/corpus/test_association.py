"""The planted association: as strong as asked, absent at zero, blind to ancestry."""

from dataclasses import replace

import numpy as np
import pytest

from tools.corpus.association import Association, voice_drivers
from tools.corpus.errors import SettingsError
from tools.corpus.latents import DRIVERS, draw_latents, driver_scores

SEED = 5
PEOPLE = range(1, 2501)
CROWD = {person: draw_latents(SEED, person) for person in PEOPLE}
FULL = Association(age=1, size=1, s1=1, s2=1)


def _correlations(association: Association) -> np.ndarray:
    """Correlation of each face driver with the voice's  # (4,)."""
    own = np.stack([driver_scores(CROWD[person]) for person in PEOPLE])
    voice = np.stack([voice_drivers(SEED, person, CROWD[person], association) for person in PEOPLE])
    return np.array([np.corrcoef(own[:, k], voice[:, k])[0, 1] for k in range(len(DRIVERS))])


def test_full_strength_follows_the_face_exactly() -> None:
    for person in range(1, 20):
        drivers = voice_drivers(SEED, person, CROWD[person], FULL)
        np.testing.assert_allclose(drivers, driver_scores(CROWD[person]))


def test_zero_strength_decouples_voice_from_face() -> None:
    assert np.abs(_correlations(FULL.scaled(0))).max() < 4 / np.sqrt(len(PEOPLE))


def test_zero_strength_does_not_read_the_face_at_all() -> None:
    one, other = draw_latents(SEED, 1), draw_latents(SEED, 2)
    none = FULL.scaled(0)
    np.testing.assert_array_equal(voice_drivers(SEED, 1, one, none), voice_drivers(SEED, 1, other, none))


def test_strength_is_the_correlation() -> None:
    found = _correlations(Association(age=0.2, size=0.5, s1=0.8, s2=1.0))
    np.testing.assert_allclose(found, [0.2, 0.5, 0.8, 1.0], atol=0.08)


def test_voices_spread_equally_at_every_strength() -> None:
    for strength in (0.0, 0.5, 1.0):
        association = FULL.scaled(strength)
        drivers = np.stack([voice_drivers(SEED, person, CROWD[person], association) for person in PEOPLE])
        np.testing.assert_allclose(drivers.std(axis=0), 1, atol=0.07)


def test_ancestry_and_region_change_nothing() -> None:
    who = CROWD[3]
    for ancestry in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)):
        changed = replace(who, ancestry=ancestry, region="elsewhere")
        for strength in (0.0, 0.5, 1.0):
            association = FULL.scaled(strength)
            expected = voice_drivers(SEED, 3, who, association)
            np.testing.assert_array_equal(voice_drivers(SEED, 3, changed, association), expected)


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_a_strength_outside_its_range_is_refused_by_name(strength: float) -> None:
    with pytest.raises(SettingsError, match="s1"):
        Association(age=1, size=1, s1=strength, s2=1)
