"""Verification trials of held-out speakers: all pairs of disjoint segments."""

from collections.abc import Callable
from dataclasses import dataclass, replace
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
from tools.voice_encoder.channels import Channel, at_peak, band, filtered
from tools.voice_encoder.codecs import through_codec
from tools.voice_encoder.recipe import TelephoneSettings
from tools.voice_encoder.speakers import Utterance

Embedder = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Segment:
    """A stretch of one speaker's speech: (S,) float32 at 16 kHz.

    Two segments of one `session` (day, microphone, room) are no genuine trial; without a session every pair is one.
    """

    speaker: str
    waveform: NDArray[np.float32]
    session: str | None = None


def cut(speaker: str, waveform: NDArray[np.float32], seconds: float, session: str | None = None) -> list[Segment]:
    """Disjoint segments of `seconds`; what is left over at the end is dropped."""
    samples = round(seconds * SAMPLE_RATE)
    starts = range(0, len(waveform) - samples + 1, samples)
    return [Segment(speaker, waveform[start : start + samples], session) for start in starts]


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


def pairs(trial_segments: list[Segment]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """First and second segment of every trial and whether it is genuine: three (P,) arrays.

    All pairs but those of one speaker within one session, which share what a session sounds like.
    """
    left, right = np.triu_indices(len(trial_segments), k=1)
    speakers = np.array([one.speaker for one in trial_segments])
    sessions = np.array([one.session or f" {index}" for index, one in enumerate(trial_segments)])
    genuine = speakers[left] == speakers[right]
    kept = ~(genuine & (sessions[left] == sessions[right]))
    return left[kept], right[kept], genuine[kept]


def require_trials(trial_segments: list[Segment], what: str) -> None:
    """Raise ScoreError unless the segments make pairs of one speaker and pairs of two; `what` says whose they are."""
    genuine = pairs(trial_segments)[2]
    if genuine.any() and not genuine.all():
        return
    speakers = len({one.speaker for one in trial_segments})
    raise ScoreError(
        f"{what}: {len(trial_segments)} segments of {speakers} speakers give no trials of both kinds: there must "
        "be two speakers, one of them with two segments, of two sessions where sessions are named. Give more or longer "
        "recordings, or a shorter segment"
    )


def altered(clean: list[Segment], seed: int, snr: tuple[float, float]) -> list[Segment]:
    """Each segment through its own noise, room, microphone or line, so that the recording no longer gives it away.

    Segments of one recording share its channel, which helps every encoder; these do not.
    """
    random = np.random.default_rng(seed)
    others = random.permutation(len(clean))
    return [
        replace(one, waveform=alter(one.waveform, _as_long(clean[other].waveform, len(one.waveform)), snr, random))
        for one, other in zip(clean, others, strict=True)
    ]


def _as_long(waveform: NDArray[np.float32], samples: int) -> NDArray[np.float32]:
    return np.resize(waveform, samples)


def scores(trial_segments: list[Segment], embed: Embedder) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Cosine of each trial of `pairs` and whether it is genuine: two (P,) arrays."""
    vectors = np.stack([embed(segment.waveform) for segment in trial_segments])
    left, right, genuine = pairs(trial_segments)
    return (vectors @ vectors.T)[left, right], genuine


def error_rate(trial_segments: list[Segment], embed: Embedder) -> float:
    """EER in percent over the trials of `pairs`."""
    return equal_error_rate(*scores(trial_segments, embed))


def through_channels(clean: list[Segment], seed: int, channel: Channel) -> list[Segment]:
    """Each segment through a channel of its own, as training draws them, other segments behind it."""
    rng = np.random.default_rng(seed)
    found = []
    for one in clean:
        behind = rng.integers(len(clean), size=channel.settings.babble)
        others = [_as_long(clean[int(other)].waveform, len(one.waveform)) for other in behind]
        found.append(replace(one, waveform=channel(one.waveform, others, rng)))
    return found


def by_telephone(clean: list[Segment], seed: int, settings: TelephoneSettings) -> list[Segment]:
    """Each segment through the telephone's band and one of its codecs."""
    rng = np.random.default_rng(seed)
    found = []
    for one in clean:
        passed = filtered(one.waveform, band(len(one.waveform), *settings.band))
        codec = settings.codecs[int(rng.integers(len(settings.codecs)))]
        found.append(replace(one, waveform=through_codec(at_peak(passed, settings.level), codec, settings.bit_rate)))
    return found


def embedder(network: UtteranceAggregator, bfloat16: bool = False) -> Embedder:
    """A network as the project runs it: float32, whole segment and its reverse, one at a time.

    `bfloat16`: the frames in that precision, three times as fast, for a look during training.
    """
    network = network.eval()
    device = next(network.parameters()).device

    @torch.inference_mode()
    def embed(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        inputs = torch.from_numpy(spectrogram(waveform))[None, None].to(device)  # (1, 1, 257, T)
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            residuals = network.residuals(inputs)
        vector: NDArray[np.float32] = network.embed(residuals.float())[0].cpu().numpy()
        return vector

    return embed
