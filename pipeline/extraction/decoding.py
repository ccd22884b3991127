"""What the decode workers run: a medium to what a model takes. Every worker imports it: no torch, no pandas.

Each kind of work is a frozen dataclass, called with the medium's path: it can be sent to a worker, and its class,
version and fields are in the key of the result (pipeline.extraction.tasks).
"""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from pipeline.media import SampledFrame, decode_audio, read_frames, sample_frames, trimmed

# Before torch is loaded: by default its idle threads spin, on the cores that the decode workers need.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

MOST_OFFSET = 0.01  # of full scale; from there on a vector moves by more than .03 (cosine, median)
WHOLE_UTTERANCE = -1  # frame number of a row of a whole utterance

logger = logging.getLogger(__name__)

PrepareFace = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # frame, box, landmarks -> input
PrepareVoice = Callable[[np.ndarray], np.ndarray]  # waveform -> input


@dataclass(frozen=True)
class Prepared:
    """An item as its model takes it."""

    inputs: list[np.ndarray]  # n, one for each vector
    frames: np.ndarray  # (n,) frame numbers they are of, or WHOLE_UTTERANCE


@dataclass(frozen=True)
class SampleFrames:
    """The frames of a clip that a detector looks at."""

    frame_rate: float  # Hz
    max_frames: int
    pixels: bool = True  # False: the detector looks at sizes alone

    version: ClassVar[int] = 1

    def __call__(self, path: Path) -> list[SampledFrame]:
        """The sampled frames of the medium at `path`."""
        return sample_frames(path, self.frame_rate, self.max_frames, self.pixels)


@dataclass(frozen=True, eq=False)
class CutFaces:
    """The found faces of a clip, each made an input by the extractor's own `prepare`."""

    prepare: PrepareFace
    frames: np.ndarray  # (n,) numbers
    boxes: np.ndarray  # (n, 4) x1 y1 x2 y2, px of the frame
    landmarks: np.ndarray  # (n, 5, 2) x y, px of the frame; NaN where the detector finds none

    version: ClassVar[int] = 1

    def __call__(self, path: Path) -> Prepared:
        """The inputs of the faces of the medium at `path`; raises MediaError for a face that cannot be cut."""
        images = read_frames(path, self.frames.tolist())
        faces = zip(images, self.boxes, self.landmarks, strict=True)
        return Prepared([self.prepare(frame.image, box, points) for frame, box, points in faces], self.frames)


@dataclass(frozen=True)
class ReadUtterance:
    """The waveform of an item, made an input by the extractor's own `prepare`."""

    prepare: PrepareVoice
    sample_rate: int  # Hz
    remove_offset: bool  # subtract the constant (DC) offset
    trim: bool  # leave out what is silent in it

    version: ClassVar[int] = 1

    def __call__(self, path: Path) -> Prepared:
        """The input of the utterance at `path`; raises MediaError for one without sound."""
        waveform = decode_audio(path, self.sample_rate)  # (T,)
        offset = waveform.mean(dtype=np.float64)
        if self.remove_offset:
            waveform -= np.float32(offset)
        elif abs(offset) > MOST_OFFSET:
            logger.warning(
                "%s: its DC offset is %.1f %% of full scale, which moves its vector; embed_voices.remove_offset "
                "removes it",
                *(path, 100 * offset),
            )
        if self.trim:
            waveform = trimmed(waveform)
        return Prepared([self.prepare(waveform)], np.array([WHOLE_UTTERANCE]))
