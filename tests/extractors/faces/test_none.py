import numpy as np
import torch

from extractors.base import NoOptions
from extractors.faces.crop import crop_face
from extractors.faces.none import WholeImage

CPU = torch.device("cpu")


def test_every_image_is_a_certain_face_without_landmarks() -> None:
    frames = [np.zeros((120, 100, 3), np.uint8), np.zeros((7, 9, 3), np.uint8)]
    found = WholeImage(NoOptions(), CPU)(frames)
    assert [face.box.tolist() for face in found if face] == [[0, 0, 100, 120], [0, 0, 9, 7]]
    assert all(face and face.probability == 1.0 and np.isnan(face.landmarks).all() for face in found)


def test_a_crop_of_facenet_s_size_passes_through_unchanged() -> None:
    image = np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)
    (face,) = WholeImage(NoOptions(), CPU)([image])
    assert face is not None
    assert np.array_equal(crop_face(image, face.box, 0, 160), image)
