import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from extractors.faces.crop import CROP_SIZE, crop_face
from pipeline.errors import MediaError
from pipeline.runtime.compat import import_facenet_pytorch
from tests.extractors.faces.face_settings import ROOT, portraits


def boxes_around(height: int, width: int, count: int) -> np.ndarray:
    """Boxes (N, 4) of all sizes that meet the frame; many reach over its edges."""
    generator = np.random.default_rng(0)
    centre = generator.uniform([0, 0], [width, height], (count, 2))
    half = generator.uniform(2, max(width, height) / 2, (count, 2))
    return np.hstack([centre - half, centre + half]).astype(np.float32)


@pytest.mark.parametrize("margin", [0, 1, 20, 44, 100])
def test_crops_equal_those_of_facenet_pytorch_byte_for_byte(margin: int) -> None:
    extract_face = import_facenet_pytorch().extract_face
    noise = np.random.default_rng(0).integers(0, 256, (300, 420, 3), np.uint8)
    for image in (noise, *portraits(512, people=2)):
        for box in boxes_around(*image.shape[:2], 25):
            theirs = extract_face(Image.fromarray(image), box, CROP_SIZE, margin)  # (3, 160, 160) float, 0 to 255
            assert np.array_equal(crop_face(image, box, margin), theirs.permute(1, 2, 0).numpy())


def test_margin_is_in_px_of_the_crop() -> None:
    frame = np.zeros((400, 400, 3), np.uint8)
    frame[100:300, 100:300] = 255  # a face of 200 px
    crop = crop_face(frame, np.array([100, 100, 300, 300]), margin=32)
    assert abs(int((crop[80, :, 0] > 127).sum()) - (CROP_SIZE - 32)) <= 1


@pytest.mark.parametrize("box", [[500, 10, 600, 90], [10, 10, 10, 90], [-50, -50, -1, -1], [20, 90, 60, 40]])
def test_a_box_that_holds_no_pixel_is_a_media_error(box: list[float]) -> None:
    with pytest.raises(MediaError, match=r"no pixel of the frame of 300 x 200"):
        crop_face(np.zeros((200, 300, 3), np.uint8), np.array(box), 0)


def test_decode_workers_cut_crops_without_importing_torch() -> None:
    script = "import sys, extractors.faces.crop; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "False\n"
