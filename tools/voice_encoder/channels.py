"""What lies between a mouth and a file: room, noise, microphone, overload, line and codec, one after the other.

Each part is there by its own chance, so that a crop meets several of them, as a recording does. `alterations.py` holds
the older single alterations, which the test with altered channels keeps.
"""

import numpy as np
from numpy.typing import NDArray

from extractors.voices.utterance_aggregator import SAMPLE_RATE
from tools.voice_encoder.alterations import mix
from tools.voice_encoder.codecs import through_codec
from tools.voice_encoder.recipe import ChannelSettings
from tools.voice_encoder.rooms import Rooms

Waveform = NDArray[np.float32]
Range = tuple[float, float]


class Channel:
    """Random channels by one recipe; the same generator gives the same channel."""

    def __init__(self, settings: ChannelSettings, rooms: Rooms) -> None:
        self.settings, self.rooms = settings, rooms

    def __call__(self, speech: Waveform, others: list[Waveform], rng: np.random.Generator) -> Waveform:
        """(S,) of speech as it may be recorded; `others` are voices (S,) that may be heard behind it."""
        settings, samples = self.settings, len(speech)
        if rng.random() < settings.room:
            speech = self.rooms.reverberated(speech, rng)
        if rng.random() < settings.far_field:
            edge = rng.uniform(*settings.far_field_edge)
            speech = filtered(speech, low_pass(samples, edge, settings.far_field_slope))
        if rng.random() < settings.noise:
            speech = mix(speech, self._noise(samples, others, rng), rng.uniform(*settings.snr))
        if rng.random() < settings.talker:
            speech = mix(speech, others[0], rng.uniform(*settings.talker_snr))
        if rng.random() < settings.microphone:
            speech = filtered(speech, microphone(samples, settings.microphone_gain, rng))
        speech = at_peak(speech, rng.uniform(*settings.level))
        if rng.random() < settings.clipping:
            speech = clipped(speech, rng.uniform(*settings.clipped))
        if rng.random() < settings.line:
            low, high = rng.uniform(*settings.line_low), rng.uniform(*settings.line_high)
            speech = filtered(speech, band(samples, low, high))
        if rng.random() < settings.codec:
            names = list(settings.codecs)
            codec = names[int(rng.integers(len(names)))]
            speech = through_codec(speech, codec, int(rng.choice(settings.codecs[codec])))
        return speech

    def _noise(self, samples: int, others: list[Waveform], rng: np.random.Generator) -> Waveform:
        """One kind of noise at random."""
        match rng.integers(4):
            case 0:
                return coloured(samples, rng.uniform(*self.settings.noise_slope), rng)
            case 1:
                return babble(others)
            case 2:
                return hum(samples, float(rng.choice(self.settings.mains)), rng)
            case _:
                return band_noise(samples, rng)


def frequencies(samples: int) -> NDArray[np.float64]:
    """Of the spectrum of `samples` samples, in Hz  # (S // 2 + 1,)."""
    return np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)


def filtered(speech: Waveform, gain: NDArray[np.float64]) -> Waveform:
    """(S,) through a filter without delay, given as linear gain (S // 2 + 1,) per frequency."""
    return np.fft.irfft(np.fft.rfft(speech) * gain, len(speech)).astype(np.float32)


def band(samples: int, low: float, high: float) -> NDArray[np.float64]:
    """Gain of a line that passes `low` to `high` Hz, nothing outside."""
    frequency = frequencies(samples)
    return ((frequency >= low) & (frequency <= high)).astype(np.float64)


def low_pass(samples: int, edge: float, slope: float) -> NDArray[np.float64]:
    """Gain that falls by `slope` dB an octave above `edge` Hz: treble is lost on the way across a room."""
    octaves = np.log2(np.maximum(frequencies(samples), edge) / edge)
    return np.asarray(10 ** (-slope * octaves / 20))


def microphone(samples: int, gain: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A smooth random response of +-`gain` dB, knots even in pitch, and a cut of the lowest frequencies."""
    frequency = np.maximum(frequencies(samples), 20.0)
    knots = np.linspace(np.log(50.0), np.log(SAMPLE_RATE / 2), 10)
    decibels = np.interp(np.log(frequency), knots, rng.uniform(-gain, gain, len(knots)))
    cut = (frequency / rng.uniform(20.0, 200.0)) ** 2
    return np.asarray(10 ** (decibels / 20) * cut / (1 + cut))  # 12 dB an octave below the cut


def coloured(samples: int, slope: float, rng: np.random.Generator) -> Waveform:
    """Noise whose amplitude falls with frequency to the power `slope`: 0 is white, 1 is brown."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    return np.fft.irfft(spectrum / np.arange(1, len(spectrum) + 1) ** slope, samples).astype(np.float32)


def babble(others: list[Waveform]) -> Waveform:
    """Several voices at once, equally loud."""
    return np.sum([at_peak(other, 0.0) for other in others], axis=0, dtype=np.float32)


def hum(samples: int, mains: float, rng: np.random.Generator) -> Waveform:
    """Mains of `mains` Hz and its overtones, over a little white noise."""
    time = np.arange(samples) / SAMPLE_RATE
    tones = [
        rng.uniform(0, 1) / number * np.sin(2 * np.pi * (mains * number * time + rng.random()))
        for number in range(1, 9)
    ]
    return (np.sum(tones, axis=0) + 0.02 * rng.standard_normal(samples)).astype(np.float32)


def band_noise(samples: int, rng: np.random.Generator) -> Waveform:
    """Noise of one or two octaves somewhere between 100 Hz and 6 kHz, as of a fan or a tap."""
    low = 100.0 * 2 ** rng.uniform(0.0, 5.0)
    return filtered(
        rng.standard_normal(samples).astype(np.float32), band(samples, low, low * 2 ** rng.uniform(1.0, 2.0))
    )


def at_peak(speech: Waveform, level: float) -> Waveform:
    """(S,) with its peak at `level` dB of full scale; silence stays silence."""
    return speech * np.float32(10 ** (level / 20) / max(float(np.abs(speech).max()), 1e-9))


def clipped(speech: Waveform, share: float) -> Waveform:
    """(S,) cut off at the amplitude that the loudest `share` of its samples exceed."""
    limit = np.float32(np.quantile(np.abs(speech), 1 - share))
    return np.clip(speech, -limit, limit)
