"""One face in one frame: who finds it, the rule that picks it among several, and who embeds it."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from extractors.base import Extractor
from extractors.registry import Registry
from pipeline.errors import MediaError
from pipeline.extraction.decoding import PrepareFace
from pipeline.settings import DetectFacesSettings, EmbedFacesSettings

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class Detection:
    """A face, in px of the original frame; the box may reach over the frame's edge, as MTCNN's do."""

    box: np.ndarray  # (4,) x1 y1 x2 y2, float32
    probability: float
    landmarks: np.ndarray  # (5, 2) x y of eyes, nose and mouth corners, float32; NaN if the detector finds none


class Detector(Extractor):
    """Frames in, the chosen face of each out. It takes frames as they are decoded."""

    # False: it looks at no pixel, and gets frames (H, W, 0); images need not be decoded for it.
    sees_pixels: ClassVar[bool] = True

    def preparer(self) -> None:
        """Nothing: the stage decides which frames are sampled."""

    @abstractmethod
    def __call__(self, frames: Sequence[np.ndarray]) -> list[Detection | None]:
        """Face of each RGB uint8 frame (H, W, 3), in px of that frame; None where there is none."""


class FaceExtractor(Extractor):
    """Faces in, unit vectors out."""

    dimension: int

    @abstractmethod
    def preparer(self) -> PrepareFace:
        """What cuts a face in a decode worker, such as SquareCrop or AlignedCrop of extractors.faces.crop.

        It is called with frame (H, W, 3) RGB uint8, box (4,) and landmarks (5, 2), and returns the model's input.
        """

    @abstractmethod
    def __call__(self, batch: Sequence[np.ndarray]) -> Sequence[np.ndarray | MediaError]:
        """The vector (dimension,), of unit norm, of each input, or the MediaError that says why it has none."""


DETECTORS: Registry[Detector] = Registry("extractors.faces", "detect_faces", "detector")
FACE_EXTRACTORS: Registry[FaceExtractor] = Registry("extractors.faces", "embed_faces", "extractor")


def face_detector(settings: DetectFacesSettings, device: "torch.device") -> Detector:
    """The detector that `detect_faces.detector` names; raises ConfigError as Registry.build does."""
    return DETECTORS.build(settings.detector, settings.options, device)


def face_extractor(settings: EmbedFacesSettings, device: "torch.device") -> FaceExtractor:
    """The extractor that `embed_faces.extractor` names; raises ConfigError as Registry.build does."""
    return FACE_EXTRACTORS.build(settings.extractor, settings.options, device)


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
