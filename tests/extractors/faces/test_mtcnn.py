import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from extractors import inference
from extractors.faces import mtcnn_cascade
from extractors.faces.area_means import AreaMeans
from extractors.faces.face import Detection
from extractors.faces.mtcnn import MTCNN, scale_down
from pipeline.errors import ExtractionError
from pipeline.runtime.compat import import_facenet_pytorch
from tests.extractors.faces import face_models
from tests.extractors.faces.face_models import ROOT, grid_frames, mtcnn, photos

CPU = torch.device("cpu")
THRESHOLDS = [0.6, 0.7, 0.7]


@pytest.fixture(scope="module")
def detector() -> MTCNN:
    return mtcnn(min_face=40, max_side=640)


@pytest.fixture(scope="module")
def portraits() -> list[np.ndarray]:
    """Four faces of the shipped corpus, (360, 360, 3)."""
    return face_models.portraits()


def assert_same(one: Detection | None, other: Detection | None) -> None:
    assert one is not None and other is not None
    assert np.array_equal(one.box, other.box) and one.probability == other.probability
    assert np.array_equal(one.landmarks, other.landmarks)


@pytest.mark.parametrize("min_face", [20, 60])
def test_every_box_equals_facenet_pytorch_s(portraits: list[np.ndarray], min_face: int) -> None:
    check_boxes([*portraits, np.hstack(portraits)], min_face)


@pytest.mark.parametrize("min_face", [20, 60])
def test_every_box_of_real_people_equals_facenet_pytorch_s(shared: Path, min_face: int) -> None:
    people = list(photos(shared, 360).values())
    crowd = np.hstack([photo[:360, :360] for photo in people])
    clips = [frames[0] for frames in grid_frames(shared, 1).values()]
    check_boxes([*people, crowd, *clips], min_face)


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_odd_frames_have_facenet_pytorch_s_boxes_too(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crowd of a hundred, a face that reaches over each edge, a frame turned upright, one of odd sides."""
    monkeypatch.setenv("SBNET_CPU_BACKEND", backend)
    people = face_models.portraits(side=96, people=4)
    crowd = np.vstack([np.hstack([people[(row + column) % 4] for column in range(10)]) for row in range(10)])
    (face,) = face_models.portraits(side=360, people=1)
    check_boxes([crowd, face[60:], face[:-90], face[:, 80:], face[:, :-80], face[:, 90:270], face[:333, :271]], 40)


def check_boxes(frames: list[np.ndarray], min_face: int) -> None:
    """Boxes, probabilities and landmarks are facenet-pytorch's own, frame by frame."""
    theirs = import_facenet_pytorch().MTCNN(min_face_size=min_face, thresholds=THRESHOLDS, keep_all=True)
    found = mtcnn(min_face=min_face, thresholds=THRESHOLDS, max_side=5000).all_faces(frames)
    for frame, faces in zip(frames, found, strict=True):
        boxes, probabilities, landmarks = (np.array(part, np.float32) for part in theirs.detect(frame, landmarks=True))
        assert len(faces) == len(boxes) > 0
        ours = sorted(faces, key=lambda face: (face.box[2:] - face.box[:2]).prod(), reverse=True)  # as theirs are
        np.testing.assert_allclose([face.box for face in ours], boxes, atol=1e-3)
        np.testing.assert_allclose([face.probability for face in ours], probabilities, atol=1e-5)
        np.testing.assert_allclose([face.landmarks for face in ours], landmarks, atol=1e-3)


def test_a_face_is_found_in_every_grid_clip(shared: Path, detector: MTCNN) -> None:
    clips = grid_frames(shared, 2)
    assert len(clips) == 11
    for name, frames in clips.items():
        for face in detector(frames):
            assert face is not None and face.probability > 0.99, name
            x1, y1, x2, y2 = face.box
            assert 60 < x2 - x1 < 180 and 80 < y2 - y1 < 220 and x1 > 0 and y2 < 288, name
            inside = (face.landmarks >= face.box[:2]) & (face.landmarks <= face.box[2:])
            assert inside.all(), name


def test_box_is_in_px_of_the_original_however_large_it_is(portraits: list[np.ndarray]) -> None:
    detector, small = mtcnn(max_side=360), portraits[0]
    large = small.repeat(4, axis=0).repeat(4, axis=1)  # scaled down to 360 px, it is the small one again
    near, far = detector([small])[0], detector([large])[0]
    assert near is not None and far is not None
    np.testing.assert_allclose(far.box, 4 * near.box, rtol=1e-5)
    np.testing.assert_allclose(far.landmarks, 4 * near.landmarks, rtol=1e-5)


def test_larger_or_more_central_face_is_chosen(portraits: list[np.ndarray], detector: MTCNN) -> None:
    first, second = portraits[0][:360, :360], portraits[1][:360, :360]
    frame = np.zeros((600, 1000, 3), np.uint8)
    frame[:360, :360] = first  # the larger, in a corner
    half = np.array(Image.fromarray(second).resize((180, 180), Image.Resampling.BILINEAR))
    frame[210:390, 410:590] = half  # the smaller, in the middle
    (largest,) = detector([frame])
    (central,) = mtcnn(choose="central")([frame])
    assert largest is not None and central is not None
    assert largest.box[2] < 380 and largest.box[3] < 380
    assert central.box[0] > 400 and central.box[2] < 600


def test_frames_of_any_size_keep_their_order_and_never_change_each_other(
    portraits: list[np.ndarray], detector: MTCNN
) -> None:
    blank, tiny = np.full((360, 480, 3), 128, np.uint8), portraits[0][:30, :300]
    frames = [blank, portraits[0], tiny, portraits[0], portraits[1], blank, portraits[2][:, ::-1], tiny]
    together = detector(frames)
    assert [face is None for face in together] == [True, False, True, False, False, True, False, True]
    for frame, face in zip(frames, together, strict=True):
        (alone,) = detector([frame])
        if face is not None:
            assert_same(alone, face)
    assert detector([]) == []


def test_a_frame_has_the_same_bytes_on_any_number_of_cores(
    portraits: list[np.ndarray], detector: MTCNN, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [*portraits, portraits[0][::2, ::2], np.hstack(portraits[:2])]
    expected = detector.all_faces(frames)
    for cores in (1, 3):
        monkeypatch.setattr(inference, "cores", lambda cores=cores: cores)
        found = mtcnn(min_face=40, max_side=640).all_faces(frames[::-1])[::-1]
        for ours, theirs in zip(found, expected, strict=True):
            for one, other in zip(ours, theirs, strict=True):
                assert_same(one, other)


def test_crops_are_judged_alike_at_any_place_in_a_batch(detector: MTCNN) -> None:
    crops = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (21, 3, 24, 24)).astype(np.float32))
    together = detector._nets.refine(crops)
    for index in range(len(crops)):
        alone = detector._nets.refine(crops[index : index + 1])
        assert all(torch.equal(one[0], all_[index]) for one, all_ in zip(alone, together, strict=True))


@pytest.mark.parametrize("shape", [(1, 1), (11, 200), (39, 640), (1, 5000), (40, 40), (41, 3000)])
def test_frames_too_small_for_a_face_have_none(shape: tuple[int, int], detector: MTCNN) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert detector([frame]) == [None]


@pytest.mark.parametrize("seed", range(3))
def test_noise_runs_through_all_stages_without_an_error(seed: int, detector: MTCNN) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (90, 120, 3), np.uint8)
    (faces,) = mtcnn_cascade.detect(detector._nets, [noise], 12, [0.05, 0.0, 0.0], CPU)
    assert len(faces.boxes) == len(faces.probabilities) == len(faces.landmarks) > 0
    assert np.isfinite(faces.boxes).all()


def test_proposals_outside_the_image_are_dropped_with_their_rows() -> None:
    frames = list(np.random.default_rng(0).integers(0, 256, (2, 20, 30, 3), np.uint8))
    boxes = np.array([[5, 5, 15, 15], [40, 5, 50, 15], [-9, -9, -2, -2], [25, 15, 40, 40]], np.float32)
    means, seen = AreaMeans.of(frames, CPU), []

    def net(pixels: torch.Tensor) -> list[torch.Tensor]:
        seen.append(tuple(pixels.shape))
        return [pixels[:, :, 0, 0]]

    owner = np.array([0, 0, 1, 1])
    kept, owners, (outputs,) = mtcnn_cascade._seen(net, means, boxes, owner, 24, (3,))
    assert kept.tolist() == boxes[[0, 3]].tolist() and owners.tolist() == [0, 1]
    assert outputs.shape == (2, 3) and seen == [(2, 3, 24, 24)]
    none, _, (nothing,) = mtcnn_cascade._seen(net, means, boxes[1:3], owner[1:3], 24, (3,))
    assert none.shape == (0, 4) and nothing.shape == (0, 3) and len(seen) == 1


def test_a_batch_gives_what_single_images_give(portraits: list[np.ndarray]) -> None:
    """As a GPU takes them."""
    library = import_facenet_pytorch()
    nets = mtcnn_cascade.Nets(library.PNet(), library.RNet(), library.ONet())
    with torch.inference_mode():
        together = mtcnn_cascade.detect(nets, portraits, 40, THRESHOLDS, CPU)
        assert all(len(faces.boxes) for faces in together)
        for frame, faces in zip(portraits, together, strict=True):
            (alone,) = mtcnn_cascade.detect(nets, [frame], 40, THRESHOLDS, CPU)
            np.testing.assert_allclose(faces.boxes, alone.boxes, atol=1e-2)
            np.testing.assert_allclose(faces.landmarks, alone.landmarks, atol=1e-2)


@pytest.mark.parametrize(("of_smaller", "limit"), [(False, 0.5), (False, 0.7), (True, 0.7)])
def test_boxes_are_suppressed_as_by_a_naive_loop(of_smaller: bool, limit: float) -> None:
    generator = np.random.default_rng(1)
    start = generator.uniform(0, 400, (900, 2))  # more than one part of rivals stays
    boxes = np.hstack([start, start + generator.uniform(1, 60, (900, 2))]).astype(np.float32)
    scores = (generator.integers(0, 9, 900) / 9).astype(np.float32)
    owner = generator.integers(0, 2, 900)
    kept: list[int] = []
    for candidate in sorted(range(900), key=lambda i: (owner[i], -scores[i], i)):
        rivals = [boxes[winner] for winner in kept if owner[winner] == owner[candidate]]
        if all(overlap(boxes[candidate], rival, of_smaller) <= limit for rival in rivals):
            kept.append(candidate)
    assert 520 < len(kept) < 899
    assert mtcnn_cascade.suppress(boxes, scores, owner, limit, of_smaller).tolist() == kept


def overlap(a: np.ndarray, b: np.ndarray, of_smaller: bool) -> float:
    """Of two boxes; px are counted where it is over the smaller."""
    more = int(of_smaller)
    shared = max(0.0, min(a[2], b[2]) - max(a[0], b[0]) + more) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]) + more)
    areas = [(c[2] - c[0] + more) * (c[3] - c[1] + more) for c in (a, b)]
    return float(shared / (min(areas) if of_smaller else sum(areas) - shared))


def test_nothing_is_suppressed_among_no_boxes() -> None:
    none = np.zeros(0)
    assert mtcnn_cascade.suppress(np.zeros((0, 4)), none, none, 0.5).shape == (0,)


def test_pyramid_spans_from_the_smallest_face_to_the_whole_frame() -> None:
    scales = mtcnn_cascade.pyramid(480, 640, 20)
    assert scales[0] == 12 / 20
    np.testing.assert_allclose(np.divide(scales[1:], scales[:-1]), 0.709)
    assert 480 * scales[-1] >= 12 > 480 * scales[-1] * 0.709
    assert mtcnn_cascade.pyramid(19, 640, 20) == []


def test_a_face_less_sure_than_asked_for_counts_as_none(portraits: list[np.ndarray]) -> None:
    (face,) = mtcnn(min_probability=0.5)(portraits[:1])
    assert face is not None and face.probability < 1.0
    assert mtcnn(min_probability=1.0)(portraits[:1]) == [None]


def test_memory_does_not_grow_with_the_frame() -> None:
    script = """
import resource
import numpy as np, torch
from tests.extractors.faces.face_models import mtcnn
detector = mtcnn(max_side=640)
detector([np.zeros((320, 640, 3), np.uint8)])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert detector([np.zeros((10000, 20000, 3), np.uint8)]) == [None]  # 600 MB of zero pages, which are only read
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(done.stdout) < 100  # MB


@pytest.mark.parametrize(
    ("shape", "scaled"), [((480, 640), (480, 640)), ((1080, 1920), (360, 640)), ((40000, 10), (640, 1))]
)
def test_frames_are_scaled_down_only(shape: tuple[int, int], scaled: tuple[int, int]) -> None:
    assert scale_down(np.zeros((*shape, 3), np.uint8), 640).shape == (*scaled, 3)


@pytest.mark.parametrize("frame", [np.zeros((50, 50), np.uint8), np.zeros((50, 50, 3)), np.zeros((0, 50, 3), np.uint8)])
def test_anything_but_rgb_bytes_is_refused(frame: np.ndarray, detector: MTCNN) -> None:
    with pytest.raises(ExtractionError, match="RGB uint8"):
        detector([frame])


@pytest.mark.parametrize(
    "wrong",
    [{"thresholds": [0.6, 0.7]}, {"min_face": 5}, {"max_side": 63}, {"choose": "first"}, {"min_probability": 2.0}],
)
def test_options_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        mtcnn(**wrong)
