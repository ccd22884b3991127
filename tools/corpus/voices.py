"""Where a person's voice lies among the voices of the speech model, by gender, size, age, s1 and s2 alone."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.stats import norm

from tools.corpus.association import Association, voice_drivers
from tools.corpus.ingredients import read_voices
from tools.corpus.latents import Latents
from tools.corpus.streams import stream

_AXES = 4  # principal axes of the timbre half of the style matrices
_TIMBRE = slice(0, 128)
_USUAL_LENGTHS = slice(20, 110)  # rows (numbers of tokens) that short sentences use
_KERNEL = 0.55  # width, in deviations, of the neighbourhood that is blended
_OWN_VOICE = 0.10  # share of one voice drawn at random: what is nobody else's
# What each driver (age, size, s1, s2) does, in deviations: a row a driver, a column an axis.
_PULL = np.array([[0.0, 0.0, 0.9, 0.0], [0.0, 0.0, 0.0, 0.3], [1.2, 0.0, 0.0, 0.0], [0.0, 1.2, 0.0, 0.0]])
_OWN_AXES = np.array([0.2, 0.2, 0.4, 0.8])  # deviations of what follows nothing
_PITCH = np.array([-0.010, -0.070, -0.050, 0.0])  # log of the factor on pitch and formants, by driver
_PITCH_LIMITS = (0.80, 1.25)
_TILT = np.array([-0.5, 0.0, 0.0, 2.0])  # dB per octave around 1 kHz, by driver
_PACE = np.array([-0.05, 0.0, 0.0, 0.0])  # log of the speaking rate, by driver


@dataclass(frozen=True)
class Voice:
    """`styles` (510, 256); `warp` scales pitch and formants; `tilt` in dB per octave; `pace` scales the rate."""

    styles: np.ndarray
    weights: np.ndarray
    warp: float
    tilt: float
    pace: float


@cache
def voice_names(gender: str) -> tuple[str, ...]:
    """Names of the model's voices of a gender: their second letter."""
    return tuple(name for name in read_voices() if name[1] == gender)


@cache
def _matrices(gender: str) -> np.ndarray:
    voices = read_voices()
    return np.stack([voices[name] for name in voice_names(gender)])  # (K, 510, 256)


def anchors(matrices: np.ndarray) -> np.ndarray:
    """Place of each voice on the principal timbre axes, each axis made normal by rank  # (K, 510, 256) -> (K, 4)."""
    timbre = matrices[:, _USUAL_LENGTHS, _TIMBRE].mean(axis=1)
    left, _, right = np.linalg.svd(timbre - timbre.mean(axis=0), full_matrices=False)
    signs = np.sign(right[:_AXES, np.abs(right[:_AXES]).argmax(axis=1)].diagonal())  # SVD leaves the sign open
    ranks = (left[:, :_AXES] * signs).argsort(axis=0).argsort(axis=0)
    return norm.ppf((ranks + 0.5) / len(matrices))


def blend_weights(place: np.ndarray, around: np.ndarray, own: int) -> np.ndarray:
    """Weights, summing to one, of the voices near a place, with a share for one's own  # (4,) (K, 4) -> (K,)."""
    distance = ((around - place) ** 2).sum(axis=1)
    near = np.exp(-(distance - distance.min()) / (2 * _KERNEL**2))
    weights = (1 - _OWN_VOICE) * near / near.sum()
    weights[own] += _OWN_VOICE
    return weights


def draw_voice(seed: int, person: int, latents: Latents, association: Association) -> Voice:
    """A person's voice; of the latents it reads gender and, through `voice_drivers`, age, size, s1 and s2."""
    drivers = voice_drivers(seed, person, latents, association)
    rng = stream(seed, "voice", person)
    matrices = _matrices(latents.gender)
    place = drivers @ _PULL + _OWN_AXES * rng.standard_normal(_AXES)
    weights = blend_weights(place, anchors(matrices), int(rng.integers(len(matrices))))
    warp = np.exp(drivers @ _PITCH + 0.02 * rng.standard_normal())
    return Voice(
        styles=np.tensordot(weights, matrices, axes=1),
        weights=weights,
        warp=float(np.clip(warp, *_PITCH_LIMITS)),
        tilt=float(drivers @ _TILT + 0.4 * rng.standard_normal()),
        pace=float(np.exp(drivers @ _PACE)),
    )
