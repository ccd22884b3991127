"""Single alterations of speech: noise, another voice, a room, a microphone or a telephone line.

The first recipe trained with them. The test with altered channels keeps them, so that its figures stay comparable.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from extractors.voices.utterance_aggregator import SAMPLE_RATE

Waveform = NDArray[np.float32]


def mix(speech: Waveform, noise: Waveform, snr: float) -> Waveform:
    """Add `noise` at `snr` dB below the speech."""
    level = np.sqrt(np.mean(speech**2) / (np.mean(noise**2) + 1e-12)) * 10 ** (-snr / 20)
    return speech + np.float32(level) * noise


def noise(speech: Waveform, snr: float, random: np.random.Generator) -> Waveform:
    """White to brown noise: power falling with frequency to a random exponent."""
    spectrum = np.fft.rfft(random.standard_normal(len(speech)))
    spectrum /= np.arange(1, len(spectrum) + 1) ** random.uniform(0.0, 1.0)
    return mix(speech, np.fft.irfft(spectrum, len(speech)).astype(np.float32), snr)


def room(speech: Waveform, random: np.random.Generator) -> Waveform:
    """A direct path and an exponentially decaying tail of noise, 0.1 to 0.5 s to -60 dB."""
    decay = random.uniform(0.1, 0.5)
    time = np.arange(round(decay * SAMPLE_RATE)) / SAMPLE_RATE
    tail = random.standard_normal(len(time)) * 10 ** (-3 * time / decay) * random.uniform(0.01, 0.06)
    tail[0] = 1.0
    return fftconvolve(speech, tail)[: len(speech)].astype(np.float32)


def microphone(speech: Waveform, random: np.random.Generator) -> Waveform:
    """A smooth random frequency response of +-6 dB."""
    spectrum = np.fft.rfft(speech)
    knots = random.uniform(-6.0, 6.0, 8)
    gain = np.interp(np.linspace(0, 7, len(spectrum)), np.arange(8), knots)
    return np.fft.irfft(spectrum * 10 ** (gain / 20), len(speech)).astype(np.float32)


def telephone(speech: Waveform, random: np.random.Generator) -> Waveform:
    """300 Hz to 3.4 .. 7 kHz, then mu-law in 256 steps."""
    spectrum = np.fft.rfft(speech)
    frequency = np.fft.rfftfreq(len(speech), 1 / SAMPLE_RATE)
    spectrum[(frequency < random.uniform(50, 300)) | (frequency > random.uniform(3400, 7000))] = 0
    band = np.fft.irfft(spectrum, len(speech))
    band /= np.abs(band).max() + 1e-9
    companded = np.round(np.sign(band) * np.log1p(255 * np.abs(band)) / np.log(256) * 127) / 127
    return (np.sign(companded) * np.expm1(np.abs(companded) * np.log(256)) / 255).astype(np.float32)


def alter(speech: Waveform, other: Waveform, snr: tuple[float, float], random: np.random.Generator) -> Waveform:
    """One of noise, another voice, a room, a microphone or a telephone line, at random."""
    level = random.uniform(*snr)
    match random.integers(5):
        case 0:
            return noise(speech, level, random)
        case 1:
            return mix(speech, other, max(level, 12.0))
        case 2:
            return room(speech, random)
        case 3:
            return microphone(speech, random)
        case _:
            return telephone(speech, random)
