"""What can be measured of a corpus with numpy alone, and the table that says whether it is as it should be."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.metrics import equal_error_rate

_STEP = 0.02  # s, of the level curve
_SPEECH_FLOOR = -35.0  # dB below the loudest step: what counts as a pause
_FULL_SCALE = 0.999  # a sample at or beyond it is clipped


@dataclass(frozen=True)
class Figure:
    """One line of the table: a value and the bounds it must keep."""

    name: str
    value: float
    least: float = -np.inf
    most: float = np.inf

    @property
    def kept(self) -> bool:
        return self.least <= self.value <= self.most


def across_clip_eer(embeddings: np.ndarray, identities: np.ndarray, clips: np.ndarray, groups: np.ndarray) -> float:
    """EER in percent of cosine scores between clips: genuine pairs are of one identity's different clips.

    embeddings (N, D); identities, clips, groups (N,). Only pairs within a group count: pass zeros for all pairs.
    """
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    one, other = np.triu_indices(len(unit), 1)
    genuine = identities[one] == identities[other]
    wanted = (groups[one] == groups[other]) & ~(genuine & (clips[one] == clips[other]))
    scores = np.einsum("nd,nd->n", unit[one[wanted]], unit[other[wanted]])
    return equal_error_rate(scores, genuine[wanted])


def levels(waveform: np.ndarray, rate: int) -> np.ndarray:
    """Level of each 20 ms in dB below full scale  # (steps,)."""
    width = int(_STEP * rate)
    steps = waveform[: len(waveform) // width * width].reshape(-1, width)
    return 10 * np.log10((steps.astype(np.float64) ** 2).mean(axis=1) + 1e-12)


def pause_share(waveform: np.ndarray, rate: int) -> float:
    """Share of the clip that is more than 35 dB below its loudest 20 ms."""
    level = levels(waveform, rate)
    return float((level < level.max() + _SPEECH_FLOOR).mean())


def sound_figures(waveforms: Sequence[np.ndarray], rate: int) -> list[Figure]:
    """Durations, levels, clipping and pauses of a corpus, each as its worst clip has it."""
    seconds = np.array([len(waveform) / rate for waveform in waveforms])
    loudness = np.array([10 * np.log10((waveform**2).mean() + 1e-12) for waveform in waveforms])
    peaks = np.array([np.abs(waveform).max() for waveform in waveforms])
    clipped = np.array([(np.abs(waveform) >= _FULL_SCALE).mean() for waveform in waveforms])
    pauses = np.array([pause_share(waveform, rate) for waveform in waveforms])
    return [
        Figure("shortest clip, s", float(seconds.min()), least=2.5),
        Figure("mean clip, s", float(seconds.mean()), 3.0, 4.0),
        Figure("longest clip, s", float(seconds.max()), most=4.6),
        Figure("quietest clip, dB of full scale", float(loudness.min()), least=-34),
        Figure("loudest clip, dB of full scale", float(loudness.max()), most=-8),
        Figure("lowest peak", float(peaks.min()), least=0.2),
        Figure("most clipped samples of a clip, %", float(100 * clipped.max()), most=0.0),
        Figure("most pause in a clip, %", float(100 * pauses.max()), most=45),
    ]


def format_table(figures: Iterable[Figure]) -> str:
    """Name, value, bounds and verdict, aligned."""
    lines = []
    for figure in figures:
        bounds = f"{figure.least:g} .. {figure.most:g}".replace("-inf", "").replace("inf", "").strip()
        verdict = "" if bounds == ".." else "ok" if figure.kept else "OUTSIDE"
        lines.append(
            f"{figure.name:<44}{figure.value:>10.3f}  {'' if bounds == '..' else bounds:<16}{verdict}".rstrip()
        )
    return "\n".join(lines)
