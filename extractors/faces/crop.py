"""Cut a face out of its frame exactly as facenet-pytorch does; without torch, for the decode workers."""

import numpy as np
from PIL import Image

from pipeline.errors import MediaError

CROP_SIZE = 160  # px, side of FaceNet's input
CROP_VERSION = 1  # of this file's arithmetic


def crop_face(frame: np.ndarray, box: np.ndarray, margin: int) -> np.ndarray:
    """Crop of `box` (4,) x1 y1 x2 y2 px from `frame` (H, W, 3) RGB uint8, resized to (160, 160, 3) uint8.

    `margin` is in px of the crop: it widens the box by margin / (160 - margin) of its sides. The box is then cut to the
    frame, which may change its aspect. Bilinear with antialiasing. Equals facenet_pytorch.extract_face on a PIL image,
    byte for byte. Raises MediaError if nothing of the box lies in the frame.
    """
    height, width = frame.shape[:2]
    corners = np.asarray(box, np.float32)  # the type of MTCNN's boxes: the same rounding as theirs
    widening = margin * (corners[2:] - corners[:2]) / (CROP_SIZE - margin) / 2
    left, top = np.maximum(corners[:2] - widening, 0).astype(int)
    right, bottom = np.minimum(corners[2:] + widening, (width, height)).astype(int)
    if left >= right or top >= bottom:
        raise MediaError(f"face box {corners.tolist()} holds no pixel of the frame of {width} x {height} px")
    face = Image.fromarray(np.ascontiguousarray(frame[top:bottom, left:right]))
    return np.array(face.resize((CROP_SIZE, CROP_SIZE), Image.Resampling.BILINEAR))
