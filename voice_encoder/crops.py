"""Batches of short crops: several of each drawn voice, altered now and then, as normalised spectrograms."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file
from torch import Tensor

from extractors.voice_spectrogram import SAMPLE_RATE, frame_spectrogram
from voice_encoder.alterations import alter
from voice_encoder.recipe import Crops


@dataclass(frozen=True)
class Voices:
    """The training set that prepare.py writes, in memory."""

    waveforms: NDArray[np.int16]  # (sum S,)
    ends: NDArray[np.int64]  # (V,)
    vectors: Tensor  # (V, 192), unit norm about their mean
    own_speed: NDArray[np.int64]  # the voices that are recordings as they are

    def __len__(self) -> int:
        return len(self.ends)

    def waveform(self, voice: int) -> NDArray[np.int16]:
        """(S,) of one voice."""
        start = self.ends[voice - 1] if voice else 0
        return self.waveforms[start : self.ends[voice]]


def load_voices(path: Path) -> Voices:
    """Read the training set; vectors lose their common mean, which says nothing about the speaker."""
    arrays = load_file(path)
    vectors = torch.from_numpy(arrays["vectors"])
    vectors = torch.nn.functional.normalize(vectors - vectors.mean(dim=0), dim=1)
    return Voices(arrays["waveforms"], arrays["ends"], vectors, arrays["own_speed"])


def crop(waveform: NDArray[np.int16], samples: int, random: np.random.Generator) -> NDArray[np.float32]:
    """The louder of two random crops (a pause says nothing); a voice shorter than that is repeated."""
    if len(waveform) < samples:
        waveform = np.tile(waveform, -(-samples // len(waveform)))
    starts = random.integers(0, len(waveform) - samples + 1, 2)
    candidates = [waveform[start : start + samples].astype(np.float32) / 32768.0 for start in starts]
    return max(candidates, key=lambda one: float(np.square(one).sum()))


def spectrograms(
    voices: Voices, drawn: list[int], settings: Crops, seconds: float, random: np.random.Generator
) -> Tensor:
    """(B, 1, 257, T) of a crop of each drawn voice.

    Some are altered. Half run backwards, because the network hears every utterance followed by its reverse.
    """
    samples = round(seconds * SAMPLE_RATE)
    waveforms = np.empty((len(drawn), samples), np.float32)
    for row, voice in enumerate(drawn):
        waveforms[row] = crop(voices.waveform(voice), samples, random)
        if random.random() < settings.augment:
            other = crop(voices.waveform(int(random.integers(len(voices)))), samples, random)
            waveforms[row] = alter(waveforms[row], other, settings.snr, random)
        if random.random() < 0.5:
            waveforms[row] = waveforms[row, ::-1].copy()
    return frame_spectrogram(torch.from_numpy(waveforms))[:, None]


def batch(
    voices: Voices, settings: Crops, seconds: float, classes: int, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Crops of `classes` voices, `crops_per_class` of each: (B, 1, 257, T) spectrograms and (B,) voice numbers."""
    drawn = np.repeat(random.choice(len(voices), classes, replace=False), settings.crops_per_class)
    return spectrograms(voices, drawn.tolist(), settings, seconds, random), torch.from_numpy(drawn)
