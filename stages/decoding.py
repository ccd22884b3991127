"""What the decode workers run: media of a task to waveforms, frames or crops. Every worker imports it: kept light."""

import logging
import os
from dataclasses import dataclass

import numpy as np

from extractors.faces.crop import crop_face
from pipeline.extraction.loop import Task, check_unchanged
from pipeline.media import SampledFrame, decode_audio, read_frames, sample_frames, trimmed

# Before torch is loaded: by default its idle threads spin, on the cores that the decode workers want.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

MOST_OFFSET = 0.01  # of full scale; from there on a vector moves by more than .03 (cosine, median)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listening:
    """How an utterance is decoded."""

    sample_rate: int  # Hz
    remove_offset: bool  # take off the constant that it lies on
    trim: bool  # leave out what is silent in it

    @property
    def made_by(self) -> tuple[str, ...]:
        """What decides the samples besides the decoder and the rate, for the item's key; nothing where all is off."""
        return (*(("offset removed",) if self.remove_offset else ()), *(("trimmed",) if self.trim else ()))


@dataclass(frozen=True)
class Sampling:
    """How a clip's frames are chosen."""

    frame_rate: float  # Hz
    max_frames: int


@dataclass(frozen=True)
class Boxes:
    """Faces to cut out of a clip."""

    frames: tuple[int, ...]
    boxes: np.ndarray  # (n, 4) x1 y1 x2 y2, px
    margin: int  # px of the crop


@dataclass(frozen=True)
class Crops:
    """Face crops of one clip with the frames they come from."""

    frames: np.ndarray  # (n,)
    images: list[np.ndarray]  # n of (160, 160, 3) RGB uint8


def waveform(task: Task) -> np.ndarray:
    """The utterance of a task, (T,) float32."""
    assert isinstance(task.detail, Listening)
    samples = decode_audio(task.path, task.detail.sample_rate)
    offset = samples.mean(dtype=np.float64)
    if task.detail.remove_offset:
        samples -= np.float32(offset)
    elif abs(offset) > MOST_OFFSET:
        logger.warning(
            "%s: lies %.1f %% of full scale beside zero, and its vector with it; embed_voices.remove_offset mends it",
            *(task.item, 100 * offset),
        )
    if task.detail.trim:
        samples = trimmed(samples)
    check_unchanged(task)
    return samples


def frames(task: Task) -> list[SampledFrame]:
    """The sampled frames of a task."""
    assert isinstance(task.detail, Sampling)
    sampled = sample_frames(task.path, task.detail.frame_rate, task.detail.max_frames)
    check_unchanged(task)
    return sampled


def crops(task: Task) -> Crops:
    """The face crops of a task, cut from the frames that its detections name."""
    wanted = task.detail
    assert isinstance(wanted, Boxes)
    images = read_frames(task.path, wanted.frames)
    cut = [crop_face(frame.image, box, wanted.margin) for frame, box in zip(images, wanted.boxes, strict=True)]
    check_unchanged(task)
    return Crops(np.array(wanted.frames), cut)
