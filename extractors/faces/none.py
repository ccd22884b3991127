"""The detector for images that are face crops already, as VoxCeleb1's released frames are: the face is the image."""

from collections.abc import Sequence

import numpy as np

from extractors.base import NO_WEIGHTS, Weights
from extractors.faces.face import DETECTORS, Detection, Detector


@DETECTORS.register("none")
class WholeImage(Detector):
    """`detector: none`: every frame is one face, seen with certainty, without landmarks."""

    version = 1
    independent, sees_pixels = True, False

    def load(self) -> Weights:
        """Nothing to load."""
        return NO_WEIGHTS

    def __call__(self, frames: Sequence[np.ndarray]) -> list[Detection | None]:
        """The whole of each frame (H, W, ...) as its face."""
        return [_whole(*frame.shape[:2]) for frame in frames]


def _whole(height: int, width: int) -> Detection:
    return Detection(np.array([0, 0, width, height], np.float32), 1.0, np.full((5, 2), np.nan, np.float32))
