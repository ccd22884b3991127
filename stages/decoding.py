"""What the decode workers run: media of a task to waveforms, frames or crops. Every worker imports it: kept light."""

import os
from dataclasses import dataclass

import numpy as np

from extractors.faces.crop import crop_face
from pipeline.extraction.loop import Task, check_unchanged
from pipeline.media import SampledFrame, decode_audio, read_frames, sample_frames

# Before torch is loaded: by default its idle threads spin, on the cores that the decode workers want.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


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
    """The utterance of a task, (T,) float32, at the sample rate in its detail."""
    assert isinstance(task.detail, int)
    samples = decode_audio(task.path, task.detail)
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
