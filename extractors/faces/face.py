"""One face in one frame, and the rule that picks it among several."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True, eq=False)
class Detection:
    """A face, in px of the original frame; the box may reach over the frame's edge, as MTCNN's do."""

    box: np.ndarray  # (4,) x1 y1 x2 y2, float32
    probability: float
    landmarks: np.ndarray  # (5, 2) x y of eyes, nose and mouth corners, float32; NaN if the detector finds none


def choose_face(
    faces: Sequence[Detection], rule: Literal["largest", "central"], width: int, height: int
) -> Detection | None:
    """The face with the largest box, or with the box nearest to the centre of a frame of `width` x `height` px.

    Ties go to the larger, then the surer, then the leftmost, then the uppermost face, so that the choice never depends
    on the order in which faces were found. None if there is no face.
    """
    ranks: dict[str, Callable[[Detection], tuple[float, ...]]] = {
        "largest": _size_first,
        "central": lambda face: (_distance_to(face, width / 2, height / 2), *_size_first(face)),
    }
    return min(faces, key=ranks[rule], default=None)


def _size_first(face: Detection) -> tuple[float, ...]:
    x1, y1, x2, y2 = face.box.astype(np.float64)
    return (-(x2 - x1) * (y2 - y1), -face.probability, x1, y1)


def _distance_to(face: Detection, x: float, y: float) -> float:
    x1, y1, x2, y2 = face.box.astype(np.float64)
    return float(np.hypot((x1 + x2) / 2 - x, (y1 + y2) / 2 - y))
