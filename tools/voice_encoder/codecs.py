"""What lossy codecs leave of a voice: encoded at a low rate, decoded again, in memory."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import av
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from extractors.voices.utterance_aggregator import SAMPLE_RATE

Waveform = NDArray[np.float32]
TELEPHONE_RATE = 8000  # Hz
_MU = 255  # ITU-T G.711


@dataclass(frozen=True)
class _Container:
    """How PyAV writes a codec: encoder, container (which knows the encoder's delay), sample rate in Hz."""

    encoder: str
    name: str
    rate: int


_CONTAINERS = {
    "opus": _Container("libopus", "ogg", SAMPLE_RATE),
    "mp3": _Container("libmp3lame", "mp3", SAMPLE_RATE),
    "aac": _Container("aac", "ipod", SAMPLE_RATE),
    "amr": _Container("libopencore_amrnb", "amr", TELEPHONE_RATE),
    "g726": _Container("g726", "wav", TELEPHONE_RATE),
}


def through_codec(waveform: Waveform, codec: str, bit_rate: int) -> Waveform:
    """(S,) within -1..1 at 16 kHz, encoded by `codec` at `bit_rate` bit/s and decoded, in step with the original.

    `mu-law` and `gsm` have one rate, whatever `bit_rate` says; both, like `amr` and `g726`, run at 8 kHz.
    """
    if codec in _FIXED:
        return _fitted(_FIXED[codec](waveform), len(waveform))
    container = _CONTAINERS[codec]
    file = io.BytesIO()
    with av.open(file, "w", format=container.name) as output:
        stream = output.add_stream(container.encoder, rate=container.rate)
        stream.layout = "mono"
        stream.bit_rate = bit_rate
        samples = _sixteen_bits(_resampled(waveform, SAMPLE_RATE, container.rate))
        frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
        frame.sample_rate, frame.pts = container.rate, 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            output.mux(packet)
    file.seek(0)
    return _fitted(_decoded(file), len(waveform))


def _decoded(file: io.BytesIO) -> Waveform:
    """The samples of a file in memory, at 16 kHz."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    with av.open(file) as opened:
        frames = [part for frame in opened.decode(audio=0) for part in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.float32) / 32768.0


def _mu_law(waveform: Waveform) -> Waveform:
    """G.711's companding in 256 steps at 8 kHz."""
    narrow = np.clip(_resampled(waveform, SAMPLE_RATE, TELEPHONE_RATE), -1, 1)
    companded = np.sign(narrow) * np.log1p(_MU * np.abs(narrow)) / np.log1p(_MU)
    steps = np.round(companded * 127) / 127
    return _resampled(np.sign(steps) * np.expm1(np.abs(steps) * np.log1p(_MU)) / _MU, TELEPHONE_RATE, SAMPLE_RATE)


def _gsm(waveform: Waveform) -> Waveform:
    """GSM 06.10, 13 kbit/s at 8 kHz."""
    file = io.BytesIO()
    narrow = np.clip(_resampled(waveform, SAMPLE_RATE, TELEPHONE_RATE), -1, 1)
    soundfile.write(file, narrow, TELEPHONE_RATE, format="WAV", subtype="GSM610")
    file.seek(0)
    return _resampled(soundfile.read(file, dtype="float32")[0], TELEPHONE_RATE, SAMPLE_RATE)


_FIXED: dict[str, Callable[[Waveform], Waveform]] = {"mu-law": _mu_law, "gsm": _gsm}
CODECS = (*_CONTAINERS, *_FIXED)


def _resampled(waveform: Waveform, rate: int, target: int) -> Waveform:
    return waveform if rate == target else np.asarray(soxr.resample(waveform, rate, target), np.float32)


def _sixteen_bits(waveform: Waveform) -> NDArray[np.int16]:
    return (np.clip(waveform, -1, 1) * 32767).astype(np.int16)[None]


def _fitted(waveform: Waveform, samples: int) -> Waveform:
    """Cut to `samples`, or filled up with silence: codecs work in frames."""
    fitted = np.zeros(samples, np.float32)
    fitted[: min(samples, len(waveform))] = waveform[:samples]
    return fitted
