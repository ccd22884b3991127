import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from extractors.faces.crop import AlignedCrop, SquareCrop, crop_face, similarity
from pipeline.errors import MediaError
from pipeline.runtime.compat import import_facenet_pytorch
from tests.extractors.faces.face_models import ROOT, portraits

SIZE = 160  # px


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
            theirs = extract_face(Image.fromarray(image), box, SIZE, margin)  # (3, 160, 160) float, 0 to 255
            assert np.array_equal(crop_face(image, box, margin, SIZE), theirs.permute(1, 2, 0).numpy())


def test_margin_is_in_px_of_the_crop() -> None:
    frame = np.zeros((400, 400, 3), np.uint8)
    frame[100:300, 100:300] = 255  # a face of 200 px
    crop = crop_face(frame, np.array([100, 100, 300, 300]), 32, SIZE)
    assert abs(int((crop[80, :, 0] > 127).sum()) - (SIZE - 32)) <= 1


@pytest.mark.parametrize("box", [[500, 10, 600, 90], [10, 10, 10, 90], [-50, -50, -1, -1], [20, 90, 60, 40]])
def test_a_box_that_holds_no_pixel_is_a_media_error(box: list[float]) -> None:
    with pytest.raises(MediaError, match=r"no pixel of the frame of 300 x 200"):
        crop_face(np.zeros((200, 300, 3), np.uint8), np.array(box), 0, SIZE)


@pytest.mark.parametrize("size", [112, 160, 224])
def test_square_crop_of_any_size_is_that_of_facenet_pytorch(size: int) -> None:
    extract_face = import_facenet_pytorch().extract_face
    image = portraits(512, people=1)[0]
    for box in boxes_around(*image.shape[:2], 10):
        theirs = extract_face(Image.fromarray(image), box, size, 8)
        ours = SquareCrop(size, 8)(image, box, np.full((5, 2), np.nan))
        assert np.array_equal(ours, theirs.permute(1, 2, 0).numpy())


def test_similarity_equals_the_least_squares_of_its_four_numbers() -> None:
    generator = np.random.default_rng(0)
    points, targets = generator.uniform(0, 100, (5, 2)), generator.uniform(0, 100, (5, 2))
    rows = [row for x, y in points for row in ([x, -y, 1, 0], [y, x, 0, 1])]  # of a, b, shift x, shift y
    a, b, x, y = np.linalg.lstsq(np.array(rows), targets.ravel(), rcond=None)[0]
    np.testing.assert_allclose(similarity(points, targets), [[a, -b, x], [b, a, y]])


@pytest.mark.parametrize("size", [112, 224])
def test_aligned_crop_brings_a_turned_face_s_landmarks_to_their_places(size: int) -> None:
    places = np.array([[38.3, 51.7], [73.5, 51.5], [56.0, 71.7], [41.5, 92.4], [70.7, 92.2]]) * size / 112
    angle, scale, shift = np.deg2rad(25), 1.7, np.array([180.0, 40.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = places @ turn.T + shift
    frame = np.zeros((720, 720, 3), np.uint8)
    for x, y in landmarks:
        frame[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4] = 255
    crop = AlignedCrop(size)(frame, np.zeros(4), landmarks)
    assert crop.shape == (size, size, 3) and crop.dtype == np.uint8
    for x, y in places:
        assert crop[round(y), round(x), 0] > 200
    assert (crop[..., 0] > 127).sum() < 5 * (7 / scale + 2) ** 2


def test_face_without_landmarks_cannot_be_aligned() -> None:
    frame = np.zeros((50, 50, 3), np.uint8)
    with pytest.raises(MediaError, match="no landmarks"):
        AlignedCrop(112)(frame, np.zeros(4), np.full((5, 2), np.nan))
    with pytest.raises(MediaError, match="one point"):
        AlignedCrop(112)(frame, np.zeros(4), np.full((5, 2), 7.0))


def test_decode_workers_cut_crops_without_importing_torch() -> None:
    script = "import sys, extractors.faces.crop; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "False\n"
