"""Three tileable noise textures that give skin, cloth and hair their grain."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.ndimage import gaussian_filter

from tools.corpus.streams import stream

_SIDE = 512  # texels, a power of two: see sampling.sample


@dataclass(frozen=True)
class Textures:
    """Zero mean, unit deviation, (512, 512) float32 each."""

    clouds: np.ndarray  # fractal noise
    speckle: np.ndarray  # nearly white noise
    strands: np.ndarray  # long along axis 0, fine along axis 1
    neutral: np.ndarray  # (2,) a place (x, y) where `strands` is about zero


def _clouds(white: np.ndarray) -> np.ndarray:
    frequency = np.fft.fftfreq(_SIDE)
    radius = np.hypot(frequency[:, None], frequency[None])
    radius[0, 0] = 1
    return np.fft.ifft2(np.fft.fft2(white) / radius**0.9 * (radius > 1.5 / _SIDE)).real


def _standardised(texture: np.ndarray) -> np.ndarray:
    return ((texture - texture.mean()) / texture.std()).astype(np.float32)


@cache
def load_textures() -> Textures:
    """The same textures for every corpus: grain is no one's identity."""
    rng = stream(0, "textures")
    clouds = _standardised(_clouds(rng.standard_normal((_SIDE, _SIDE))))
    speckle = _standardised(gaussian_filter(rng.standard_normal((_SIDE, _SIDE)), 0.8, mode="wrap"))
    strands = _standardised(gaussian_filter(rng.standard_normal((_SIDE, _SIDE)), (25, 0.7), mode="wrap"))
    row, column = np.unravel_index(np.abs(strands[:-1, :-1]).argmin(), (_SIDE - 1, _SIDE - 1))
    return Textures(clouds, speckle, strands, np.array([column, row], dtype=float))
