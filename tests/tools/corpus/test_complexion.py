"""Colours come as a family: dark skin with dark hair and eyes; grey with age."""

import numpy as np

from tools.corpus.complexion import draw_complexion, linear, openness
from tools.corpus.latents import draw_latents

SEED = 4
CROWD = [draw_latents(SEED, person) for person in range(1, 1201)]
COLOURS = [draw_complexion(SEED, person, who) for person, who in enumerate(CROWD, 1)]


def _brightness(colour: np.ndarray) -> float:
    return float(colour.mean())


def test_hair_and_eyes_are_dark_wherever_skin_is() -> None:
    dark = [(c, who) for c, who in zip(COLOURS, CROWD, strict=True) if openness(c.melanin) == 0 and c.grey == 0]
    assert len(dark) > 100
    assert max(_brightness(c.hair) for c, _ in dark) < _brightness(linear((60, 45, 35)))
    assert max(_brightness(c.eyes) for c, _ in dark) < _brightness(linear((90, 60, 40)))


def test_fair_skin_has_light_and_dark_hair_both() -> None:
    hair = [_brightness(c.hair) for c in COLOURS if openness(c.melanin) == 1 and c.grey == 0]
    assert min(hair) < 0.02
    assert max(hair) > 0.25


def test_more_melanin_is_darker_skin() -> None:
    melanin = np.array([c.melanin for c in COLOURS])
    skin = np.array([_brightness(c.skin) for c in COLOURS])
    assert np.corrcoef(melanin, skin)[0, 1] < -0.9


def test_only_the_older_grey_and_the_oldest_most() -> None:
    grey = {who.years: [] for who in CROWD}
    for c, who in zip(COLOURS, CROWD, strict=True):
        grey[who.years].append(c.grey)
    assert max(max(grey[years]) for years in grey if years <= 38) == 0
    assert np.mean(grey[max(grey)]) > 0.8


def test_every_colour_is_one_that_light_can_have() -> None:
    for c in COLOURS:
        for colour in (c.skin, c.lips, c.lipstick, c.eyes, c.hair, c.brows, c.eye_shadow):
            assert colour.shape == (3,)
            assert 0 <= colour.min() <= colour.max() <= 1
