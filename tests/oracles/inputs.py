"""What the oracles were computed on, by `make`, and what the tests give to our code."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.oracles import seeded
from tests.oracles.seeded import FACE_WIDTH, ROWS, VOICE_WIDTH, Array

SPECTROGRAM_STEPS = (1, 10)  # of the spectrogram of waveform 0 every frame is stored, of 1 every tenth
_LOSS_ROWS, _LOSS_WIDTH, _LOSS_CLASSES = 64, 16, 12
_SAMPLES = (17_607, 30_400)  # 1.1 s, and 1.9 s in whole hops


class CentreBatch(NamedTuple):
    """A batch for the losses that hold centres."""

    features: Array  # (32, 16)
    labels: NDArray[np.int64]  # (32,)
    centres: Array  # (12, 16)


def faces() -> Array:
    """(24, 512)."""
    return seeded.uniform("faces", ROWS, FACE_WIDTH, low=-0.3, high=0.3)


def voices() -> Array:
    """(24, 192)."""
    return seeded.uniform("voices", ROWS, VOICE_WIDTH, low=-0.3, high=0.3)


def loss_batch() -> tuple[Array, NDArray[np.int64]]:
    """Features (64, 16), not of unit norm, and labels (64,)."""
    features = seeded.uniform("loss", _LOSS_ROWS, _LOSS_WIDTH, low=-1.0, high=2.0)
    return features, seeded.labels("loss labels", _LOSS_ROWS, _LOSS_CLASSES)


def centre_batch() -> CentreBatch:
    """Features as of the batch above, half of it."""
    features, labels = loss_batch()
    half = _LOSS_ROWS // 2
    return CentreBatch(features[:half], labels[:half], seeded.uniform("centres", _LOSS_CLASSES, _LOSS_WIDTH))


def trials() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Left and right (2000, 16) of unit norm; even rows are genuine, as the official code takes for granted."""
    return seeded.trials("grid", 2000, 16)


def waveforms() -> tuple[Array, Array]:
    """Two voices of a kind, (17607,) and (30400,) at 16 kHz."""
    first, second = (seeded.waveform(f"waveform {number}", samples) for number, samples in enumerate(_SAMPLES))
    return first, second
