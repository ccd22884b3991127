"""Verification trials of held-out speakers: all pairs of disjoint segments."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from extractors.voices.aggregator_network import UtteranceAggregator
from extractors.voices.utterance_aggregator import SAMPLE_RATE, spectrogram
from pipeline.errors import MediaError, ScoreError
from pipeline.metrics import equal_error_rate
from tools.voice_encoder.alterations import alter
from tools.voice_encoder.speakers import Utterance

Embedder = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Segment:
    """A stretch of one speaker's speech: (S,) float32 at 16 kHz."""

    speaker: str
    waveform: NDArray[np.float32]


def cut(speaker: str, waveform: NDArray[np.float32], seconds: float) -> list[Segment]:
    """Disjoint segments of `seconds`; what is left over at the end is dropped."""
    samples = round(seconds * SAMPLE_RATE)
    return [
        Segment(speaker, waveform[start : start + samples]) for start in range(0, len(waveform) - samples + 1, samples)
    ]


def read(path: Path) -> NDArray[np.float32]:
    """A mono recording at 16 kHz; raises MediaError for anything else."""
    try:
        waveform, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise MediaError(f"{path} is no readable recording ({error}): mend or remove it") from error
    if rate != SAMPLE_RATE or waveform.shape[1] != 1:
        raise MediaError(
            f"{path}: {rate} Hz, {waveform.shape[1]} channels; convert it to mono at {SAMPLE_RATE} Hz, or remove it"
        )
    return np.asarray(waveform[:, 0], np.float32)


def segments(recordings: list[Utterance], seconds: float) -> list[Segment]:
    """The segments of all recordings."""
    return [segment for one in recordings for segment in cut(one.speaker, read(one.path), seconds)]


def require_trials(trial_segments: list[Segment], what: str) -> None:
    """Raise ScoreError unless the segments make pairs of one speaker and pairs of two; `what` says whose they are."""
    speakers = [segment.speaker for segment in trial_segments]
    if 1 < len(set(speakers)) < len(speakers):
        return
    raise ScoreError(
        f"{what}: {len(speakers)} segments of {len(set(speakers))} speakers give no trials of both kinds: there must "
        "be two speakers, one of them with two segments. Give more or longer recordings, or a shorter segment"
    )


def altered(clean: list[Segment], seed: int, snr: tuple[float, float]) -> list[Segment]:
    """Each segment through its own noise, room, microphone or line, so that the recording no longer gives it away.

    Segments of one recording share its channel, which helps every encoder; these do not.
    """
    random = np.random.default_rng(seed)
    others = random.permutation(len(clean))
    return [
        Segment(one.speaker, alter(one.waveform, _as_long(clean[other].waveform, len(one.waveform)), snr, random))
        for one, other in zip(clean, others, strict=True)
    ]


def _as_long(waveform: NDArray[np.float32], samples: int) -> NDArray[np.float32]:
    return np.resize(waveform, samples)


def scores(trial_segments: list[Segment], embed: Embedder) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Cosine of each pair of segments and whether the speaker is the same: two (P,) arrays."""
    vectors = np.stack([embed(segment.waveform) for segment in trial_segments])
    speakers = np.array([segment.speaker for segment in trial_segments])
    left, right = np.triu_indices(len(vectors), k=1)
    return (vectors @ vectors.T)[left, right], speakers[left] == speakers[right]


def error_rate(trial_segments: list[Segment], embed: Embedder) -> float:
    """EER in percent over all pairs."""
    return equal_error_rate(*scores(trial_segments, embed))


def embedder(network: UtteranceAggregator) -> Embedder:
    """A network as the project runs it: float32, whole segment and its reverse, one at a time."""
    network = network.eval()
    device = next(network.parameters()).device

    @torch.inference_mode()
    def embed(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        inputs = torch.from_numpy(spectrogram(waveform))[None, None].to(device)  # (1, 1, 257, T)
        vector: NDArray[np.float32] = network(inputs)[0].cpu().numpy()
        return vector

    return embed
