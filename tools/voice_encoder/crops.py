"""Batches of short crops of voices, most through a channel, with what the student should hear in them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from torch import Tensor

from extractors.voices.utterance_aggregator import SAMPLE_RATE, frame_spectrogram
from pipeline.errors import StoreError
from tools.voice_encoder.channels import Channel
from tools.voice_encoder.hints import HOP, of_crop
from tools.voice_encoder.recipe import Crops


@dataclass(frozen=True)
class Voices:
    """The training set that prepare.py writes, in memory."""

    waveforms: NDArray[np.int16]  # (sum S,)
    ends: NDArray[np.int64]  # (V,)
    vectors: Tensor  # (V, 192), unit norm about their mean
    hints: NDArray[np.float16]  # (sum N, D)
    hint_ends: NDArray[np.int64]  # (V,)

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def digest(self) -> str:
        """SHA-256 of the teacher's vectors and of where each voice ends: other voices have another."""
        return hashlib.sha256(self.vectors.numpy().tobytes() + self.ends.astype("<i8").tobytes()).hexdigest()

    def waveform(self, voice: int) -> NDArray[np.int16]:
        """(S,) of one voice."""
        return self.waveforms[self.ends[voice - 1] if voice else 0 : self.ends[voice]]

    def hints_of(self, voice: int) -> NDArray[np.float16]:
        """(N, D) of one voice, one every hints.HOP samples."""
        return self.hints[self.hint_ends[voice - 1] if voice else 0 : self.hint_ends[voice]]


@dataclass(frozen=True)
class Batch:
    """What one step learns from."""

    spectrograms: Tensor  # (B, 1, 257, T)
    voice: Tensor  # (B,) number of the voice
    hints: Tensor  # (B, T // 16, D)


def load_voices(path: Path) -> Voices:
    """Read the training set; vectors lose their common mean, which says nothing about the speaker.

    Raises StoreError for a file that prepare.py did not write.
    """
    try:
        arrays = load_file(path)
        waveforms, ends, hints, hint_ends = (arrays[name] for name in ("waveforms", "ends", "hints", "hint_ends"))
        vectors = torch.from_numpy(arrays["vectors"])
    except (OSError, SafetensorError, KeyError) as error:
        raise StoreError(f"{path} holds no voices ({error}): make it with tools.voice_encoder.prepare") from error
    vectors = torch.nn.functional.normalize(vectors - vectors.mean(dim=0), dim=1)
    return Voices(waveforms, ends, vectors, hints, hint_ends)


def crop(waveform: NDArray[np.int16], samples: int, rng: Generator) -> tuple[NDArray[np.float32], int]:
    """The louder of two random crops (a pause says nothing) and the hint it begins at; short voices are repeated."""
    if len(waveform) < samples:
        waveform = np.tile(waveform, -(-samples // len(waveform)))
    first, second = rng.integers(0, (len(waveform) - samples) // HOP + 1, 2)

    def part(start: int) -> NDArray[np.float32]:
        return waveform[start * HOP : start * HOP + samples].astype(np.float32) / 32768.0

    return max((part(first), int(first)), (part(second), int(second)), key=lambda one: float(np.square(one[0]).sum()))


def draw(voices: Voices, drawn: list[int], altered: float, channel: Channel, samples: int, rng: Generator) -> Batch:
    """A crop of `samples` of each drawn voice, a whole number of hints long; `altered` is the chance of a channel.

    Half run backwards, because the network hears every utterance followed by its reverse.
    """
    waveforms = np.empty((len(drawn), samples), np.float32)
    hints = []
    for row, voice in enumerate(drawn):
        waveforms[row], start = crop(voices.waveform(voice), samples, rng)
        if rng.random() < altered:
            others = rng.integers(len(voices), size=channel.settings.babble)
            behind = [crop(voices.waveform(int(other)), samples, rng)[0] for other in others]
            waveforms[row] = channel(waveforms[row], behind, rng)
        reverse = rng.random() < 0.5
        if reverse:
            waveforms[row] = waveforms[row, ::-1].copy()
        hints.append(of_crop(voices.hints_of(voice), start, samples, reverse))
    spectrograms = frame_spectrogram(torch.from_numpy(waveforms))[:, None, :, :-1]  # T = 16 frames a hint
    return Batch(spectrograms, torch.tensor(drawn), torch.from_numpy(np.stack(hints)))


def voices_in_batch(settings: Crops, seconds: float) -> int:
    """How many crops of `seconds` make the batch's amount of speech."""
    return max(2, round(settings.batch_seconds / seconds))


def batch(voices: Voices, settings: Crops, channel: Channel, decaying: bool, rng: Generator) -> Batch:
    """Crops of one random length, each of another voice; longer ones while the learning rate is `decaying`."""
    seconds = rng.uniform(*(settings.decay_seconds if decaying else settings.seconds))
    drawn = rng.choice(len(voices), voices_in_batch(settings, seconds), replace=False)
    return draw(voices, drawn.tolist(), settings.altered, channel, int(seconds * SAMPLE_RATE) // HOP * HOP, rng)
