"""What a face does while it speaks: mouth from the sound, blinks, brows and a drifting head from chance."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from tools.corpus.pose import Act
from tools.corpus.waveforms import RATE

_WINDOW = 2400  # samples (150 ms) that a frame's mouth listens to
_JAW = 0.30  # how far the loudest sounds open the jaw
_BLINK = 0.11  # s, half a blink


def frame_count(waveform: np.ndarray, rate: int) -> int:
    """Frames that cover a waveform at `rate` frames a second."""
    return int(np.ceil(len(waveform) / RATE * rate))


def _windows(waveform: np.ndarray, rate: int) -> list[np.ndarray]:
    starts = (np.arange(frame_count(waveform, rate)) * RATE / rate).astype(int) - _WINDOW // 2
    return [waveform[max(0, start) : start + _WINDOW] for start in starts]


def loudness(waveform: np.ndarray, rate: int) -> np.ndarray:
    """Root mean square around each frame, 1 at the clip's 95th percentile  # (frames,)."""
    level = np.array([np.sqrt((window**2).mean() + 1e-9) for window in _windows(waveform, rate)])
    return level / np.percentile(level, 95)


def sharpness(waveform: np.ndarray, rate: int) -> np.ndarray:
    """How hissing the sound is around each frame, standardised over the clip  # (frames,)."""
    windows = _windows(waveform, rate)
    slope = np.array([np.abs(np.diff(window)).mean() / (np.abs(window).mean() + 1e-6) for window in windows])
    return (slope - slope.mean()) / (slope.std() + 1e-6)


def blinks(times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Closure of the eyes at each time  # (frames,)."""
    closure, at = np.zeros_like(times), rng.uniform(0.3, 2.0)
    while at < times[-1]:
        closure = np.maximum(closure, np.clip(1.1 - np.abs(times - at) / _BLINK, 0, 1))
        at += rng.uniform(1.6, 3.5)
    return closure


def _mouth(waveform: np.ndarray, rate: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Action units of the mouth  # (frames,) each."""
    level, hiss = loudness(waveform, rate), sharpness(waveform, rate)
    open_jaw = np.clip(level, 0, 1.2) ** 0.8 * _JAW
    jaw = 0.25 * open_jaw + 0.75 * np.convolve(open_jaw, [0.2, 0.6, 0.2], "same")
    voiced = np.minimum(1, level * 1.5)
    rounding = 2 * gaussian_filter1d(rng.standard_normal(len(level)), 1.5)
    return {
        "jawOpen": jaw,
        "mouthFunnel": np.clip(0.25 * rounding - 0.1 * hiss, 0, 0.5) * voiced,
        "mouthStretch": np.clip(0.15 * hiss, 0, 0.4) * voiced,
        "mouthLowerDown": 0.8 * jaw,
        "mouthUpperUp": 0.6 * jaw,
    }


def perform(waveform: np.ndarray, rate: int, smile: float, rng: np.random.Generator) -> list[Act]:
    """One act a frame for a waveform at 16 kHz."""
    mouth = _mouth(waveform, rate, rng)
    times = np.arange(frame_count(waveform, rate)) / rate
    a, b, c, d = rng.uniform(0, 2 * np.pi, 4)
    yaw = 0.055 * np.sin(2 * np.pi * 0.31 * times + a) + 0.02 * np.sin(2 * np.pi * 0.9 * times + b)
    pitch = 0.03 * np.sin(2 * np.pi * 0.43 * times + c) + 0.02 * (mouth["jawOpen"] / _JAW - 0.5)
    roll = 0.02 * np.sin(2 * np.pi * 0.27 * times + d)
    units = {"jawOpen": mouth.pop("jawOpen"), "mouthFunnel": mouth.pop("mouthFunnel")}
    units["browInnerUp"] = np.clip(1.5 * gaussian_filter1d(rng.standard_normal(len(times)), 4), 0, 0.5)
    for name, amount in {**mouth, "mouthSmile": np.full(len(times), smile), "eyeBlink": blinks(times, rng)}.items():
        units |= {name + "Left": amount, name + "Right": amount}
    return [
        Act({name: float(amount[k]) for name, amount in units.items()}, float(yaw[k]), float(pitch[k]), float(roll[k]))
        for k in range(len(times))
    ]
