"""What the teacher hears at each moment, for the student's frames to predict (Romero et al. 2015, arXiv 1412.6550).

One vector a recording says little about which of its frames the student got wrong; a vector every 160 ms says it a
hundred times a recording. The student's frames predict them through a linear map that is thrown away.
"""

import numpy as np
from numpy.typing import NDArray

HOP = 2560  # samples: 16 hops of the spectrogram, one frame of the student
_TEACHER_FRAMES = 8  # of 20 ms, in one of the student's


def at_student_rate(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, D) frames of 20 ms -> (1 + N // 8, D): the mean around the centre of each of the student's frames."""
    centres = np.arange(1 + len(frames) // _TEACHER_FRAMES) * _TEACHER_FRAMES
    half = _TEACHER_FRAMES // 2
    centres = np.minimum(centres, len(frames) - 1)
    return np.stack([frames[max(0, centre - half) : centre + half].mean(axis=0) for centre in centres])


def principal_axes(frames: NDArray[np.float32], count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean (D,) of frames (N, D), and the strongest `count` axes (D, count), scaled to unit mean variance."""
    mean = frames.mean(axis=0)
    variances, axes = np.linalg.eigh(np.cov(frames - mean, rowvar=False))
    strongest = axes[:, ::-1][:, :count]
    return mean, (strongest / np.sqrt(variances[::-1][:count].mean())).astype(np.float32)


def of_crop(hints: NDArray[np.float16], start: int, samples: int, reverse: bool) -> NDArray[np.float32]:
    """Hints (samples / HOP, D) of the crop that begins at hint `start`, in the order in which the student hears it.

    Frame k of a crop played backwards is centred where frame n - k of the crop was. Past the end the last one stays,
    also where a voice shorter than the crop is repeated.
    """
    count = samples // HOP
    chosen = np.minimum(np.arange(start, start + count + 1), len(hints) - 1)
    chosen = chosen[::-1][:count] if reverse else chosen[:count]
    return hints[chosen].astype(np.float32)
