"""Utterance-level aggregation: waveforms in, one 512-d vector of each voice out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from extractors.deterministic import exact_inference
from extractors.fingerprints import fingerprint_of
from extractors.voices.aggregator_network import DIMENSION, UtteranceAggregator, load_state
from extractors.voices.folding import folded
from extractors.voices.keras_voice_weights import read_keras_state
from extractors.voices.voice_spectrogram import FFT, HOP, NORM_EPSILON, SAMPLE_RATE, WINDOW, spectrogram
from extractors.voices.voice_weights import voice_weights
from pipeline.errors import MediaError
from pipeline.settings import EmbedVoicesSettings

__all__ = ["UtteranceAggregator", "VoiceExtractor", "load_keras_weights", "spectrogram"]

_VERSION = 2  # raise it when the same weights would give other vectors
_SHORTEST = 1.0  # s; shorter utterances are repeated up to this: the network pools 16 frames into one


def load_keras_weights(path: str | Path) -> UtteranceAggregator:
    """The network with the weights of a Keras HDF5 file, such as the official one, in eval mode."""
    return load_state(read_keras_state(Path(path)), str(path))


def windows(waveform: NDArray[np.float32], longest: int) -> list[NDArray[np.float32]]:
    """(S,) -> equal windows of at most `longest` samples that cover it, or the short utterance repeated to 1 s."""
    shortest = round(_SHORTEST * SAMPLE_RATE)
    if len(waveform) < shortest:
        return [np.resize(waveform, shortest)]
    return np.array_split(waveform, -(-len(waveform) // longest))


class VoiceExtractor:
    """Waveforms at 16 kHz -> (B, 512) embeddings of unit norm.

    Every utterance goes through alone, so that its bytes do not depend on the rest of the batch. One longer than
    `max_seconds` goes through window by window: GhostVLAD sums the residuals of frames over time before it normalises,
    so adding the windows' sums gives the descriptor of the whole; only the few frames whose receptive field meets a
    seam differ. Memory is that of one window, however long the utterance.
    """

    name = "utterance_aggregator"
    dimension = DIMENSION
    sample_rate = SAMPLE_RATE  # Hz

    def __init__(self, settings: EmbedVoicesSettings, device: torch.device) -> None:
        weights = voice_weights(settings)
        self.weights_label = weights.label
        self._weights_digest = weights.digest
        self._longest = max(round(settings.max_seconds * SAMPLE_RATE), round(_SHORTEST * SAMPLE_RATE))
        self._network = folded(weights.network.eval()).to(device)
        self._device = device

    def fingerprint(self) -> str:
        """SHA-256 over everything that decides a vector but the waveform."""
        return fingerprint_of(
            {
                "name": self.name,
                "version": _VERSION,
                "weights": self._weights_digest,
                "preprocessing": [SAMPLE_RATE, FFT, WINDOW, HOP, NORM_EPSILON, _SHORTEST, self._longest],
            }
        )

    def __call__(self, waveforms: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """(S,) float32 each -> (B, 512); raises MediaError for one that holds no sound."""
        embeddings = np.empty((len(waveforms), DIMENSION), np.float32)
        with exact_inference():
            for row, waveform in enumerate(waveforms):
                embeddings[row] = self._embed(waveform, row)
        return embeddings

    def _embed(self, waveform: NDArray[np.float32], row: int) -> NDArray[np.float32]:
        if not np.any(waveform) or not np.isfinite(waveform).all():
            raise MediaError(f"utterance {row} of the batch is silent (or not finite): nothing to embed; leave it out")
        residuals = torch.zeros((), device=self._device)
        for window in windows(waveform, self._longest):
            inputs = torch.from_numpy(spectrogram(window))[None, None].to(self._device)  # (1, 1, 257, T)
            residuals = residuals + self._network.residuals(inputs)
        vector: NDArray[np.float32] = self._network.embed(residuals)[0].cpu().numpy()
        return vector
