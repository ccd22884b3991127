from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from extractors.faces.crop import crop_face
from extractors.faces.facenet import SIZE, FaceNet
from extractors.faces.facenet_weights import VGGFACE2, facenet_weights, read_facenet
from extractors.inference import network_of
from pipeline.errors import ExtractionError, WeightsError
from pipeline.runtime.compat import import_facenet_pytorch
from tests.extractors.faces.face_models import facenet as build_facenet
from tests.extractors.faces.face_models import grid_frames, mtcnn, photos

CPU = torch.device("cpu")
EXAMPLE = torch.zeros(1, SIZE, SIZE, 3, dtype=torch.uint8)

# Upper triangles of facenet-pytorch's own test (tests/actions_test.py), people sorted by name.
GOLDEN = {
    "casia-webface": [
        1.430769,
        0.992931,
        1.414197,
        1.329544,
        1.253911,
        1.144899,
        1.079755,
        1.358875,
        1.337322,
        1.204118,
    ],
    "vggface2": [1.482895, 0.886342, 1.438450, 1.437583, 1.345686, 1.029880, 1.061939, 1.363125, 1.338803, 1.066040],
}


@pytest.fixture(scope="module")
def facenet() -> FaceNet:
    return build_facenet(weights="casia-webface")


def random_crops(count: int, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, 160, 160, 3), np.uint8))


def golden_crops(shared: Path) -> list[np.ndarray]:
    """Crops of the five people by our own detector and crop; of one there is only the published crop."""
    faces = {}
    for aligned in (shared / "data/facenet_pytorch_faces/test_images_aligned").glob("*/1.png"):
        faces[aligned.parent.name] = np.array(Image.open(aligned).convert("RGB"))
    detector = mtcnn(min_face=20, max_side=4096, choose="largest")
    for name, image in photos(shared, 512).items():
        (face,) = detector([image])
        assert face is not None, name
        faces[name] = crop_face(image, face.box, 0, SIZE)
    return [faces[name] for name in sorted(faces)]


@pytest.mark.parametrize("weights", GOLDEN)
def test_distances_between_known_faces_are_the_published_ones(shared: Path, weights: str) -> None:
    if weights == "vggface2" and not VGGFACE2.path.exists():
        pytest.skip(f"VGGFace2 weights are not at {VGGFACE2.path} (they come from a release page)")
    vectors = build_facenet(weights=weights)(golden_crops(shared))
    vectors = np.array(vectors)
    distances = np.linalg.norm(vectors[:, None] - vectors, axis=2)  # (5, 5)
    expected = np.zeros((5, 5))
    expected[np.triu_indices(5, 1)] = GOLDEN[weights]
    assert np.linalg.norm(distances - (expected + expected.T)) < 1e-2


def test_vectors_are_float32_finite_and_of_unit_norm(facenet: FaceNet) -> None:
    extremes = [np.zeros((160, 160, 3), np.uint8), np.full((160, 160, 3), 255, np.uint8)]
    vectors = np.array(facenet(random_crops(3) + extremes))
    assert vectors.shape == (5, facenet.dimension) and vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert facenet([]) == []


def test_vectors_equal_those_of_facenet_pytorch_in_plain_memory_format(facenet: FaceNet) -> None:
    library = import_facenet_pytorch()
    network = library.InceptionResnetV1(pretrained=None).eval()
    network.load_state_dict(read_facenet(facenet_weights("casia-webface")[1]))
    crops = random_crops(4)
    images = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous().float()
    with torch.inference_mode():
        reference = network(library.fixed_image_standardization(images)).numpy()
    given = np.array(facenet(crops))
    np.testing.assert_allclose(given, reference, atol=1e-5)
    cosines = (given.astype(np.float64) * reference).sum(axis=1)
    assert (cosines / np.linalg.norm(given.astype(np.float64), axis=1)).min() > 0.999999


def test_more_crops_than_go_through_at_once_keep_their_order(facenet: FaceNet, monkeypatch: pytest.MonkeyPatch) -> None:
    crops = random_crops(5)
    whole = facenet(crops)
    monkeypatch.setattr("extractors.faces.facenet._GPU_BATCH", 2)
    monkeypatch.setattr(facenet, "_network", network_of(facenet.module, EXAMPLE, CPU, "float32", free=[0]))
    monkeypatch.setattr(facenet._network, "alone", False)  # as on a GPU
    np.testing.assert_allclose(facenet(crops), whole, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_same_crops_give_the_same_bytes_in_any_company(precision: str) -> None:
    facenet, crops = build_facenet(precision=precision), random_crops(5)
    together = np.array(facenet(crops))
    assert together.tobytes() == np.array(facenet(crops)).tobytes()
    assert together.tobytes() == np.array([facenet([crop])[0] for crop in crops]).tobytes()
    assert together.tobytes() == np.array(facenet(crops[::-1])[::-1]).tobytes()


def test_bfloat16_is_near_float32(facenet: FaceNet) -> None:
    crops = random_crops(4)
    assert (np.array(facenet(crops)) * np.array(build_facenet(precision="bfloat16")(crops))).sum(axis=1).min() > 0.9995


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_bfloat16_gives_unit_norms_too(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vector of another norm would be refused, and the item skipped."""
    monkeypatch.setenv("SBNET_CPU_BACKEND", backend)
    vectors = np.array(build_facenet(precision="bfloat16")(random_crops(4)))
    np.testing.assert_allclose(np.linalg.norm(vectors.astype(np.float64), axis=1), 1, atol=1e-6)


def test_a_person_is_closer_to_herself_than_to_anyone_else_in_grid(shared: Path, facenet: FaceNet) -> None:
    people = pd.read_csv(shared / "data/grid/clips.csv").set_index("clip")["identity"]
    clips = grid_frames(shared, 2)
    detector, means = mtcnn(), []
    for frames in clips.values():
        faces = detector(frames)
        crops = [crop_face(frame, face.box, 0, SIZE) for frame, face in zip(frames, faces, strict=True) if face]
        means.append(np.mean(facenet(crops), axis=0))
    vectors = np.stack(means)
    identity = people.loc[list(clips)].to_numpy()
    distances = np.linalg.norm(vectors[:, None] - vectors, axis=2)
    genuine = (identity[:, None] == identity) & ~np.eye(len(clips), dtype=bool)
    assert genuine.sum() == 2  # one pair, seen from both sides
    assert distances[genuine].max() < 0.8 * distances[identity[:, None] != identity].min()


def test_weights_name_the_corpora_that_they_were_trained_on(facenet: FaceNet) -> None:
    assert facenet.weights.description.endswith("CASIA-WebFace 20180408-102900")
    assert facenet.weights.trained_on == ("CASIA-WebFace",)


@pytest.mark.parametrize("margin", [-1, 160])
def test_margin_beyond_the_crop_is_refused(margin: int) -> None:
    with pytest.raises(ValueError, match="margin"):
        build_facenet(margin=margin)


def test_crops_of_another_size_are_refused(facenet: FaceNet) -> None:
    with pytest.raises(ExtractionError, match=r"uint8 \(160, 160, 3\)"):
        facenet([np.zeros((112, 112, 3), np.uint8)])


def test_weights_of_another_network_or_broken_ones_are_refused(tmp_path: Path) -> None:
    state = dict(import_facenet_pytorch().InceptionResnetV1(pretrained=None).state_dict())
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="does not fit InceptionResnetV1"):
        build_facenet(weights=str(tmp_path / "other.safetensors"))
    state["last_linear.weight"] = torch.full_like(state["last_linear.weight"], torch.nan)
    save_file(state, tmp_path / "nan.safetensors")
    with pytest.raises(WeightsError, match=r"NaN or infinite values in last_linear\.weight"):
        build_facenet(weights=str(tmp_path / "nan.safetensors"))


def test_crops_of_another_size_or_type_are_refused(facenet: FaceNet) -> None:
    for crop in (np.zeros((112, 112, 3), np.uint8), np.zeros((160, 160, 3), np.float32)):
        with pytest.raises(ExtractionError, match="face crops must be uint8"):
            facenet([crop])
