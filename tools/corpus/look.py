"""The numbers that the shading kernels read about one person in one clip."""

from typing import NamedTuple

import numpy as np

from tools.corpus.complexion import Complexion, linear
from tools.corpus.conditions import Conditions
from tools.corpus.latents import Latents
from tools.corpus.streams import stream

_BEARDS = {  # density, full, moustache, goatee
    "shaven": (0.0, 0.0, 0.0, 0.0),
    "stubble": (0.35, 0.75, 0.75, 0.75),
    "moustache": (0.9, 0.1, 1.0, 0.0),
    "goatee": (0.95, 0.1, 1.0, 1.0),
    "full": (1.0, 1.0, 1.0, 1.0),
}
_LASH = (0.012, 0.012, 0.012)
_BEARD_ODDS = (0.42, 0.22, 0.10, 0.12, 0.14)


Colour = tuple[float, float, float]


class Look(NamedTuple):
    """Colours are linear RGB; lengths are dm on the mean head; strengths are 0..1 unless they scale.

    Tuples, not arrays: a kernel that is handed an array counts its references, pixel by pixel.
    """

    skin: Colour
    lips: Colour
    iris: Colour
    hair: Colour
    brow: Colour
    lash: Colour
    eye_shadow: Colour
    cloth: Colour
    teeth: Colour
    moles: tuple[tuple[float, float], ...]  # three places
    grain_x: float  # where this person's grain is cut out of the textures
    grain_y: float
    oil: float
    blush: float
    red_nose: float
    dark_circles: float
    eye_shadow_strength: float
    lash_line: float
    wrinkles: float
    freckles: float
    mole_radius: float
    beard: float
    beard_full: float
    beard_moustache: float
    beard_goatee: float
    lip_gloss: float
    brow_start: float
    brow_length: float
    brow_height: float
    brow_arch: float
    brow_slope: float
    brow_width: float
    brow_strength: float
    mottle: float
    iris_size: float
    strand_scale: float
    bump: float
    collar: float
    v_neck: float
    stripes: float
    stripe_frequency: float


def _skin_marks(rng: np.random.Generator, latents: Latents, melanin: float) -> dict:
    fair = 1 - melanin
    wrinkles = float(np.clip((latents.years - 36) / 36, 0, 1))
    return {
        "grain_x": rng.random() * 500,
        "grain_y": rng.random() * 500,
        "oil": 0.05 + 0.05 * rng.random(),
        "blush": (0.5 + 0.5 * rng.random()) * (1 - 0.5 * melanin) * (1.2 if latents.female else 0.8),
        "red_nose": rng.random() * (1 - 0.6 * melanin),
        "dark_circles": 0.2 + 0.5 * rng.random() * latents.years / 60,
        "wrinkles": wrinkles,
        "freckles": (rng.random() < 0.3) * rng.random() * fair,
        "moles": tuple(zip(rng.uniform(-0.5, 0.5, 3).tolist(), rng.uniform(6.4, 7.7, 3).tolist(), strict=True)),
        "mole_radius": 0.012 + 0.012 * rng.random() * (rng.random() < 0.5),
        "mottle": 0.6 + 0.8 * rng.random(),
        "bump": 0.6 + 0.8 * rng.random() + 0.6 * wrinkles,
    }


def _make_up(rng: np.random.Generator, female: bool) -> dict:
    return {
        "eye_shadow_strength": (rng.random() < 0.5) * female * (0.3 + 0.5 * rng.random()),
        "lash_line": 0.45 + 0.4 * rng.random() if female else 0.22 + 0.15 * rng.random(),
        "lip_gloss": 0.10 + 0.15 * rng.random() * (1 + female),
    }


def _beard(rng: np.random.Generator, female: bool) -> dict:
    style = list(_BEARDS)[int(rng.choice(len(_BEARDS), p=_BEARD_ODDS))]
    density, full, moustache, goatee = _BEARDS["shaven" if female else style]
    return {"beard": density, "beard_full": full, "beard_moustache": moustache, "beard_goatee": goatee}


def _brows(rng: np.random.Generator, female: bool) -> dict:
    start, length, height, arch, slope, width = rng.standard_normal(6)
    return {
        "brow_start": 0.115 + 0.015 * start,
        "brow_length": 0.40 + 0.025 * length,
        "brow_height": 7.455 + 0.012 * height - 0.01 * (not female),
        "brow_arch": 0.035 + 0.015 * arch + 0.02 * female,
        "brow_slope": 0.01 + 0.015 * slope,
        "brow_width": (0.030 if female else 0.042) * np.exp(0.18 * width),
        "brow_strength": 0.75 + 0.25 * rng.random(),
        "iris_size": 1 + 0.05 * rng.standard_normal(),
        "strand_scale": 0.7 + 0.8 * rng.random(),
    }


def _colour(channels: np.ndarray) -> Colour:
    red, green, blue = channels.tolist()
    return red, green, blue


def draw_look(seed: int, person: int, latents: Latents, complexion: Complexion, clip: Conditions) -> Look:
    """Marks, make-up and brows are the person's; tan, hair tone, lipstick and clothes change with the clip."""
    rng = stream(seed, "look", person)
    wears_lipstick = bool(latents.female and clip.lipstick)
    lips = complexion.lips * clip.skin_tone
    painted = 0.45 * lips + 0.55 * complexion.lipstick * (1 - 0.45 * complexion.melanin)
    return Look(
        skin=_colour(complexion.skin * clip.skin_tone),
        lips=_colour(painted if wears_lipstick else lips),
        iris=_colour(complexion.eyes),
        hair=_colour(complexion.hair * clip.hair_tone),
        brow=_colour(complexion.brows * 0.9),
        lash=_LASH,
        eye_shadow=_colour(complexion.eye_shadow),
        cloth=_colour(clip.cloth),
        teeth=_colour(linear((225, 215, 200))),
        collar=clip.collar,
        v_neck=clip.v_neck,
        stripes=clip.stripes,
        stripe_frequency=clip.stripe_frequency,
        **_skin_marks(rng, latents, complexion.melanin),
        **_make_up(rng, latents.female),
        **_beard(rng, latents.female),
        **_brows(rng, latents.female),
    )
