"""What happens to speech between the voice and the file: trimming, brightness, a microphone."""

import numpy as np

RATE = 16_000  # Hz, of the clips
LEAD, TAIL = 0.10, 0.15  # s kept before and after speech
_AUDIBLE = 0.01  # of the peak


def trim(waveform: np.ndarray) -> np.ndarray:
    """Speech with a little silence left on both sides  # (T,)."""
    audible = np.flatnonzero(np.abs(waveform) > _AUDIBLE * np.abs(waveform).max())
    start = max(0, audible[0] - int(LEAD * RATE))
    return waveform[start : audible[-1] + int(TAIL * RATE)]


def tilted(waveform: np.ndarray, decibels: float) -> np.ndarray:
    """The waveform with its spectrum sloped by `decibels` per octave around 1 kHz, held below 125 Hz  # (T,)."""
    spectrum = np.fft.rfft(waveform)
    frequency = np.maximum(np.fft.rfftfreq(len(waveform), 1 / RATE), 125.0)
    gain = 10 ** (decibels * np.log2(frequency / 1000) / 20)
    return np.fft.irfft(spectrum * gain, len(waveform))


def recorded(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The waveform through a microphone: colour, gain, noise floor."""
    coloured = tilted(waveform, rng.uniform(-0.8, 0.8))
    coloured *= rng.uniform(0.35, 0.85) / np.abs(coloured).max()
    floor = np.sqrt((coloured**2).mean()) * 10 ** (-rng.uniform(28, 42) / 20)
    return (coloured + floor * rng.standard_normal(len(coloured))).astype(np.float32)
