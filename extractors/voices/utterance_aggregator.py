"""Utterance-level aggregation (Xie et al. 2019): waveforms in, one 512-d vector of each voice out.

The network's input are magnitudes of a short-time Fourier transform, normalised frame by frame.
"""

from collections.abc import Sequence
from functools import cache, cached_property, reduce
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from extractors.base import ExtractorOptions, Weights
from extractors.inference import Precision, kept_network, side_by_side
from extractors.voices.aggregator_network import (
    CLUSTERS,
    DIMENSION,
    Embedding,
    Residuals,
    UtteranceAggregator,
    folded,
)
from extractors.voices.aggregator_weights import aggregator_weights, load_network
from extractors.voices.voice import VOICE_EXTRACTORS, VoiceExtractor, silence, windows
from pipeline.errors import MediaError
from pipeline.settings import Positive, Seed

__all__ = ["AggregatedVoice", "UtteranceAggregator", "frame_spectrogram", "load_keras_weights", "spectrogram"]

SAMPLE_RATE = 16000  # Hz
FFT = 512  # samples
WINDOW = 400  # samples, Hann
HOP = 160  # samples
NORM_EPSILON = 1e-5
_SHORTEST = 1.0  # s; shorter utterances are repeated up to this: the network pools 16 frames into one


def load_keras_weights(path: str | Path) -> UtteranceAggregator:
    """The network with the weights of a Keras HDF5 file, such as the official one, in eval mode."""
    return load_network(Path(path))


@cache
def _hann(device: torch.device) -> Tensor:
    return torch.hann_window(WINDOW, device=device)


def frame_spectrogram(waveforms: Tensor) -> Tensor:
    """(B, S) float32 at 16 kHz -> (B, 257, 1 + S // 160), zero mean and unit deviation over each frame's bins.

    Reflect padding is librosa's of the time of the published weights; its default has since become zeros.
    Source: WeidiXie/VGG-Speaker-Recognition, src/utils.py.
    """
    padded = F.pad(waveforms[:, None], (FFT // 2, FFT // 2), mode="reflect")[:, 0]
    spectrum = torch.stft(padded, FFT, HOP, WINDOW, window=_hann(waveforms.device), center=False, return_complex=True)
    magnitude = spectrum.abs()  # (B, 257, T)
    deviation, mean = torch.std_mean(magnitude, dim=1, keepdim=True, correction=0)
    return (magnitude - mean) / (deviation + NORM_EPSILON)


def spectrogram(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Evaluation input of one utterance: (S,) float32 at 16 kHz -> (257, T) of the utterance and then its reverse.

    As frame_spectrogram, but in numpy: torch would take all cores, on which others run side by side.
    Source: WeidiXie/VGG-Speaker-Recognition, src/utils.py (mode `eval`).
    """
    both = np.concatenate([waveform, waveform[::-1]]).astype(np.float32, copy=False)
    padded = np.pad(both, FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::HOP]  # (T, 512)
    magnitude = np.abs(np.fft.rfft(frames * _window(), axis=1))  # (T, 257), float32 as the frames are
    deviation, mean = magnitude.std(axis=1, keepdims=True), magnitude.mean(axis=1, keepdims=True)
    return np.ascontiguousarray(((magnitude - mean) / (deviation + np.float32(NORM_EPSILON))).T)


@cache
def _window() -> NDArray[np.float32]:
    """(512,) Hann, in the middle of as many samples as the transform takes."""
    window: NDArray[np.float32] = F.pad(_hann(torch.device("cpu")), [(FFT - WINDOW) // 2] * 2).numpy()
    return window


@VOICE_EXTRACTORS.register("utterance_aggregator")
class AggregatedVoice(VoiceExtractor):
    """Waveforms at 16 kHz -> vectors (512,) of unit norm.

    Every utterance goes through alone, so that its bytes do not depend on the rest of the batch. One longer than
    `max_seconds` goes through window by window: GhostVLAD sums the residuals of frames over time before it normalises,
    so adding the windows' sums gives the descriptor of the whole; only the few frames whose receptive field meets a
    seam differ. Memory is that of a window a core, however long the utterance.
    """

    version = 3
    independent = True
    dimension = DIMENSION
    sample_rate = SAMPLE_RATE  # Hz

    class Options(ExtractorOptions):
        """Its keys of `embed_voices:`."""

        weights: str  # distilled | official | untrained | path
        seed: Seed  # of the untrained network
        max_seconds: Positive  # s, the longest window that goes through at once; of 1 s at least
        precision: Precision  # of all but the last layer, which is float32

    options: Options

    def load(self) -> Weights:
        """Raises WeightsError where the weights cannot be had or do not fit."""
        weights, self._read = aggregator_weights(self.options.weights, self.options.seed)
        frames, residuals = torch.zeros(1, 1, FFT // 2 + 1, 200), torch.zeros(1, CLUSTERS, DIMENSION)
        identity, precision = self.identity(weights), self.options.precision
        self._residuals = kept_network(
            "aggregator-residuals", identity, lambda: Residuals(self.module), frames, self.device, precision, free=[3]
        )
        self._embedding = kept_network(
            "aggregator-embedding", identity, lambda: Embedding(self.module), residuals, self.device, "float32"
        )
        self.backend = self._residuals.backend
        return weights

    @cached_property
    def module(self) -> UtteranceAggregator:
        """The network in torch, its batch norms folded."""
        return folded(self._read())

    def __call__(self, batch: Sequence[np.ndarray]) -> list[np.ndarray | MediaError]:
        """A vector (512,) of each waveform (T,), or the MediaError of one that holds no sound."""
        silent = [silence(waveform) for waveform in batch]
        shortest, longest = round(_SHORTEST * SAMPLE_RATE), round(self.options.max_seconds * SAMPLE_RATE)
        parts = [
            [] if error else windows(waveform, shortest, longest) for waveform, error in zip(batch, silent, strict=True)
        ]
        every = [window for own in parts for window in own]
        summed = iter(side_by_side(self._summed, every, self._residuals.lanes))
        return [error or self._embed(list(islice(summed, len(own)))) for error, own in zip(silent, parts, strict=True)]

    def _summed(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        (residuals,) = self._residuals(spectrogram(window)[None, None])
        return residuals

    def _embed(self, residuals: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        (vectors,) = self._embedding(reduce(np.add, residuals))
        vector: NDArray[np.float32] = vectors[0]
        return vector
