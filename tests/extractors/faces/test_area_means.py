import numpy as np
import pytest
import torch
import torch.nn.functional as F

from extractors.faces import area_means
from extractors.faces.area_means import AreaMeans

CPU = torch.device("cpu")


def noise(count: int, height: int, width: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8))


def resized(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """By torch, normalised as MTCNN's nets take pixels; (3, height, width)."""
    pixels = torch.from_numpy(frame).permute(2, 0, 1)[None].float()
    return ((F.interpolate(pixels, (height, width), mode="area")[0] - 127.5) * 0.0078125).numpy()


@pytest.mark.parametrize("size", [(145, 193), (13, 18), (480, 640), (1, 1), (481, 700), (100, 639)])
def test_a_frame_is_resized_as_torch_does_by_area(size: tuple[int, int]) -> None:
    frames = noise(2, 480, 640)
    ours = AreaMeans.of(frames, CPU).resized(*size)
    assert ours.shape == (2, 3, *size) and ours.dtype == torch.float32 and ours.is_contiguous()
    for frame, level in zip(frames, ours, strict=True):
        np.testing.assert_allclose(level, resized(frame, *size), atol=1e-6)


@pytest.mark.parametrize("side", [24, 48])
def test_crops_are_cut_and_resized_as_torch_does_by_area(side: int) -> None:
    frames = noise(3, 90, 120)
    owner = np.array([0, 2, 2, 1, 0])
    start = np.array([[0, 0], [5, 7], [60, 40], [119, 89], [0, 0]])
    end = np.array([[120, 90], [29, 31], [61, 90], [120, 90], [7, 5]])  # the whole frame, wider and smaller than a crop
    ours = AreaMeans.of(frames, CPU).crops(owner, start, end, side)
    assert ours.shape == (5, 3, side, side) and ours.is_contiguous()
    for index, ((x1, y1), (x2, y2)) in enumerate(zip(start, end, strict=True)):
        expected = resized(frames[owner[index]][y1:y2, x1:x2], side, side)
        np.testing.assert_allclose(ours[index], expected, atol=1e-6)


def test_sums_beyond_32_bits_leave_means_right() -> None:
    frame = np.full((3000, 3000, 3), 255, np.uint8)  # of sum 2.3e9 a channel
    means = AreaMeans.of([frame], CPU)
    assert means.tables.min() < 0
    np.testing.assert_allclose(means.resized(12, 13), 127.5 / 128, atol=1e-6)
    corner = means.crops(np.array([0]), np.array([[2900, 2900]]), np.array([[3000, 3000]]), 24)
    np.testing.assert_allclose(corner, 127.5 / 128, atol=1e-6)


def test_the_sums_that_a_gpu_makes_are_those_of_the_cpu() -> None:
    frames = noise(2, 70, 50)
    ours = AreaMeans.of(frames, CPU).tables
    theirs = area_means._summed(torch.from_numpy(np.stack(frames)))
    assert theirs.dtype == ours.dtype == torch.int32 and torch.equal(theirs, ours)
