"""Cut a face out of its frame, for the decode workers: without torch.

Each kind of cut is a frozen dataclass, called with frame (H, W, 3) RGB uint8, box (4,) x1 y1 x2 y2 and landmarks (5, 2)
x y, in px of the frame; its class, version and numbers are in the key of what is made of the crop.
"""

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from PIL import Image

from pipeline.errors import MediaError

# Where ArcFace and its relatives have eyes, nose and mouth corners, px of a crop of 112 px.
# Source: deepinsight/insightface, python-package/insightface/utils/face_align.py.
_ARCFACE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
_ARCFACE_SIDE = 112  # px


@dataclass(frozen=True)
class SquareCrop:
    """The box, widened by a margin and resized to a square, as facenet-pytorch does."""

    size: int  # px, sides of the crop
    margin: int  # px of the crop, below `size`

    version: ClassVar[int] = 1

    def __call__(self, frame: np.ndarray, box: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """(size, size, 3) uint8; landmarks are not used. Raises MediaError if the box is wholly outside the frame."""
        return crop_face(frame, box, self.margin, self.size)


@dataclass(frozen=True)
class AlignedCrop:
    """The face turned, scaled and moved so that its landmarks are where ArcFace was trained to have them."""

    size: int  # px, sides of the crop

    version: ClassVar[int] = 1

    def __call__(self, frame: np.ndarray, box: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """(size, size, 3) uint8, black beyond the frame; the box is not used.

        Raises MediaError where the detector gave no landmarks, or gave the same point five times.
        """
        points = np.asarray(landmarks, np.float64)
        if not np.isfinite(points).all():
            raise MediaError("its face has no landmarks to align by: use a detector that finds them, such as mtcnn")
        if np.ptp(points, axis=0).max() < 1.0:
            raise MediaError("the landmarks of its face are one point: nothing to align by")
        matrix = similarity(points, _ARCFACE * self.size / _ARCFACE_SIDE)
        return cv2.warpAffine(frame, matrix, (self.size, self.size), flags=cv2.INTER_LINEAR)


def crop_face(frame: np.ndarray, box: np.ndarray, margin: int, size: int) -> np.ndarray:
    """Crop of `box` (4,) x1 y1 x2 y2 px from `frame` (H, W, 3) RGB uint8, resized to (size, size, 3) uint8.

    `margin` is in px of the crop: it widens the box by margin / (size - margin) of its sides. The box is then cut to
    the frame, which may change its aspect. Bilinear with antialiasing. Equals facenet_pytorch.extract_face on a PIL
    image, byte for byte. Raises MediaError if the box is wholly outside the frame.
    """
    height, width = frame.shape[:2]
    corners = np.asarray(box, np.float32)  # the type of MTCNN's boxes: the same rounding as theirs
    widening = margin * (corners[2:] - corners[:2]) / (size - margin) / 2
    left, top = np.maximum(corners[:2] - widening, 0).astype(int)
    right, bottom = np.minimum(corners[2:] + widening, (width, height)).astype(int)
    if left >= right or top >= bottom:
        raise MediaError(f"face box {corners.tolist()} holds no pixel of the frame of {width} x {height} px")
    face = np.array(frame[top:bottom, left:right], order="C")
    if face.shape[:2] == (size, size):  # Pillow, too, would copy it; that takes ten times as long
        return face
    return np.array(Image.fromarray(face).resize((size, size), Image.Resampling.BILINEAR))


def similarity(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(2, 3) matrix of the turn, scale and shift that bring `points` (N, 2) nearest to `targets` (N, 2).

    Least squares, without reflection (Umeyama 1991). As complex numbers z -> a z + b the plane's similarities are
    linear, so a and b come as in any regression on one variable.
    """
    z, w = points @ [1, 1j], targets @ [1, 1j]
    centred = z - z.mean()
    a = (centred.conj() @ w) / (centred.conj() @ centred)
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])
