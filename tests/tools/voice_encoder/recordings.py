"""Recordings of noise, written where a test wants them."""

from pathlib import Path

import numpy as np
import soundfile


def write(path: Path, seconds: float, level: float = 0.1) -> Path:
    """A mono recording of noise at 16 kHz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).standard_normal(round(seconds * 16000)) * level
    soundfile.write(path, np.clip(noise, -1, 1), 16000)
    return path
