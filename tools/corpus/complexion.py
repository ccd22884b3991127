"""Colours of a person, drawn jointly: dark skin brings dark hair and dark eyes, fair skin leaves both open."""

from dataclasses import dataclass

import numpy as np

from tools.corpus.latents import Latents
from tools.corpus.streams import stream

_MELANIN_BY_ANCESTRY = (0.78, 0.36, 0.17)
# sRGB, from the least to the most melanin
_TONES = (
    (247, 224, 210),
    (238, 203, 178),
    (222, 176, 142),
    (190, 138, 101),
    (146, 98, 67),
    (102, 66, 45),
    (66, 44, 34),
)
_BLACK, _DARK_BROWN, _BROWN = (22, 18, 17), (48, 32, 23), (82, 54, 35)
_LIGHT_BROWN, _BLOND, _RED, _GREY = (120, 84, 54), (186, 150, 100), (128, 58, 28), (150, 148, 145)
_DARK_HAIR = (_BLACK, _BLACK, _DARK_BROWN)
_ANY_HAIR = (_DARK_BROWN, _DARK_BROWN, _BROWN, _BROWN, _LIGHT_BROWN, _BLOND, _RED)
_DARK_EYES = ((78, 46, 22), (48, 28, 16))
_ANY_EYES = ((78, 46, 22), (112, 86, 42), (86, 112, 70), (86, 124, 158), (86, 124, 158), (118, 128, 136))
_LIPSTICKS = ((170, 50, 60), (190, 90, 95), (150, 60, 70), (200, 110, 100))
_EYE_SHADOWS = ((90, 70, 60), (70, 60, 80), (110, 70, 70))


@dataclass(frozen=True)
class Complexion:
    """Linear RGB colours (3,), and how much melanin (0..1) and grey (0..1) there is."""

    melanin: float
    grey: float
    skin: np.ndarray
    lips: np.ndarray
    lipstick: np.ndarray
    eyes: np.ndarray
    hair: np.ndarray
    brows: np.ndarray
    eye_shadow: np.ndarray


def linear(colour: tuple[float, ...] | np.ndarray) -> np.ndarray:
    """Linear light of an sRGB colour in 0..255, by the plain 2.2 power."""
    return (np.asarray(colour, dtype=float) / 255) ** 2.2


def openness(melanin: float) -> float:
    """Probability that hair (and likewise eyes) may be of any colour rather than dark."""
    return float(np.clip((0.42 - melanin) / 0.22, 0, 1))


def _skin(melanin: float, rng: np.random.Generator) -> np.ndarray:
    grid = np.linspace(0, 1, len(_TONES))
    tone = np.array([np.interp(melanin, grid, channel) for channel in np.array(_TONES, float).T])
    tone *= 1 + 0.02 * rng.standard_normal() + np.array([0.012, 0, -0.02]) * rng.standard_normal()
    return linear(np.clip(tone, 0, 255))


def _greyness(years: int, rng: np.random.Generator) -> float:
    chance = rng.standard_normal()
    return float(np.clip((years - 42) / 26 + 0.25 * chance, 0, 1)) if years > 38 else 0.0


def draw_complexion(seed: int, person: int, latents: Latents) -> Complexion:
    """Skin from ancestry; hair and eyes from skin; grey from age."""
    rng = stream(seed, "complexion", person)
    melanin = float(np.clip(np.dot(latents.ancestry, _MELANIN_BY_ANCESTRY) + 0.06 * rng.standard_normal(), 0, 1))
    skin = _skin(melanin, rng)
    redness = np.array([0.80, 0.56, 0.56]) * (1 - melanin) + np.array([0.86, 0.70, 0.74]) * melanin
    lips = skin * redness**1.3 * (1 + 0.06 * rng.standard_normal(3))
    hair_draw, eye_draw, shade, grey_shade = rng.random(4)
    palette = _ANY_HAIR if hair_draw < openness(melanin) else _DARK_HAIR
    iris = _ANY_EYES if eye_draw < openness(melanin) else _DARK_EYES
    pigment = linear(palette[int(rng.integers(len(palette)))])
    grey = _greyness(latents.years, rng)
    return Complexion(
        melanin=melanin,
        grey=grey,
        skin=skin,
        lips=lips,
        lipstick=linear(_LIPSTICKS[int(rng.integers(len(_LIPSTICKS)))]),
        eyes=linear(iris[int(rng.integers(len(iris)))]) * (0.85 + 0.3 * shade),
        hair=pigment * (1 - grey) + linear(_GREY) * (0.7 + 0.6 * grey_shade) * grey,
        brows=np.minimum(pigment, linear(_LIGHT_BROWN)) * (0.7 - 0.2 * grey) + 0.06 * grey,
        eye_shadow=linear(_EYE_SHADOWS[int(rng.integers(len(_EYE_SHADOWS)))]),
    )
