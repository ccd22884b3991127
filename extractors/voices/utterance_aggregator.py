"""Utterance-level aggregation (Xie et al. 2019): waveforms in, one 512-d vector of each voice out.

The network's input are magnitudes of a short-time Fourier transform, normalised frame by frame.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from extractors.base import ExtractorOptions, Weights
from extractors.deterministic import exact_inference
from extractors.voices.aggregator_network import DIMENSION, UtteranceAggregator, folded
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

    Source: WeidiXie/VGG-Speaker-Recognition, src/utils.py (mode `eval`).
    """
    both = np.concatenate([waveform, waveform[::-1]]).astype(np.float32, copy=False)
    normalised: NDArray[np.float32] = frame_spectrogram(torch.from_numpy(both)[None])[0].numpy()
    return normalised


@VOICE_EXTRACTORS.register("utterance_aggregator")
class AggregatedVoice(VoiceExtractor):
    """Waveforms at 16 kHz -> vectors (512,) of unit norm.

    Every utterance goes through alone, so that its bytes do not depend on the rest of the batch. One longer than
    `max_seconds` goes through window by window: GhostVLAD sums the residuals of frames over time before it normalises,
    so adding the windows' sums gives the descriptor of the whole; only the few frames whose receptive field meets a
    seam differ. Memory is that of one window, however long the utterance.
    """

    version = 2
    dimension = DIMENSION
    sample_rate = SAMPLE_RATE  # Hz

    class Options(ExtractorOptions):
        """Its keys of `embed_voices:`."""

        weights: str  # distilled | official | untrained | path
        seed: Seed  # of the untrained network
        max_seconds: Positive  # s, the longest window that goes through at once; of 1 s at least

    options: Options

    def load(self) -> Weights:
        """Raises WeightsError where the weights cannot be had or do not fit."""
        weights, network = aggregator_weights(self.options.weights, self.options.seed)
        self._network = folded(network).to(self.device)
        return weights

    def __call__(self, batch: Sequence[np.ndarray]) -> list[np.ndarray | MediaError]:
        """A vector (512,) of each waveform (T,), or the MediaError of one that holds no sound."""
        with exact_inference():
            return [silence(waveform) or self._embed(waveform) for waveform in batch]

    def _embed(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        residuals = torch.zeros((), device=self.device)
        longest = round(self.options.max_seconds * SAMPLE_RATE)
        for window in windows(waveform, round(_SHORTEST * SAMPLE_RATE), longest):
            inputs = torch.from_numpy(spectrogram(window))[None, None].to(self.device)  # (1, 1, 257, T)
            residuals = residuals + self._network.residuals(inputs)
        vector: NDArray[np.float32] = self._network.embed(residuals)[0].cpu().numpy()
        return vector
