"""The detector for images that are face crops already, as VoxCeleb1's released frames are: the face is the image."""

from collections.abc import Sequence

import numpy as np
import torch

from extractors.faces.face import Detection
from extractors.fingerprints import fingerprint_of
from pipeline.settings import DetectFacesSettings

_VERSION = 1  # of this file's arithmetic


class WholeImage:
    """`detector: none`: every frame is one face, seen with certainty, without landmarks."""

    name = "none"

    def __init__(self, settings: DetectFacesSettings, device: torch.device) -> None:
        """Takes what every detector takes, and needs none of it."""

    def fingerprint(self) -> str:
        """Hex digest of the code version: nothing else matters here."""
        return fingerprint_of({"name": self.name, "version": _VERSION})

    def __call__(self, frames: Sequence[np.ndarray]) -> list[Detection | None]:
        """The whole of each frame (H, W, 3) as its face."""
        return [_whole(*frame.shape[:2]) for frame in frames]


def _whole(height: int, width: int) -> Detection:
    return Detection(np.array([0, 0, width, height], np.float32), 1.0, np.full((5, 2), np.nan, np.float32))
