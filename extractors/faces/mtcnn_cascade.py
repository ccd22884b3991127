"""The cascade of MTCNN: a pyramid of small nets proposes faces, two larger nets refine and confirm them.

Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks" (2016), with the
networks and the arithmetic of facenet_pytorch/models/utils/detect_face.py, to which the boxes are equal but for
rounding. What differs: an image too small for the pyramid has no face instead of an exception, and a proposal that is
wholly outside the image is dropped instead of leaving the nets' outputs one row short of the boxes.

Pixels and nets are on the device. Boxes, some dozens a frame, are float32 numpy arrays on the host, on all devices.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from extractors.faces.area_means import AreaMeans

FACTOR = 0.709  # between the levels of the pyramid: sqrt(1/2), halving the area
LEVEL_OVERLAP, OVERLAP = 0.5, 0.7  # intersection over union above which the box of lower score is removed
CELL, STRIDE = 12, 2  # px: input of P-Net, and step of its output
REFINE_SIZE, OUTPUT_SIZE = 24, 48  # px: inputs of R-Net and O-Net
_CROPS_AT_ONCE = 256  # bounds memory where a busy image has thousands of proposals
_RIVALS_AT_ONCE = 256  # the same, of suppression's table of overlaps

Net = Callable[[Tensor], Sequence[Tensor]]


@dataclass(frozen=True)
class Nets:
    """The three networks. Their inputs and outputs are on one device."""

    propose: Net  # P-Net: (B, 3, H, W) -> offsets (B, 4, h, w), probabilities (B, 2, h, w)
    refine: Net  # R-Net: (N, 3, 24, 24) -> offsets (N, 4), probabilities (N, 2)
    output: Net  # O-Net: (N, 3, 48, 48) -> offsets (N, 4), landmarks (N, 10), probabilities (N, 2)


@dataclass(frozen=True)
class Faces:
    """Faces of one image."""

    boxes: np.ndarray  # (N, 4) px
    probabilities: np.ndarray  # (N,)
    landmarks: np.ndarray  # (N, 5, 2) px


_NO_FACES = Faces(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))


def pyramid(height: int, width: int, min_face: int) -> list[float]:
    """Scales at which P-Net's 12 px cell sees faces of `min_face` px and, step by step, up to the shorter side."""
    first = CELL / min_face
    scales = []
    scale, side = first, min(height, width) * first
    while side >= CELL:
        scales.append(scale)
        scale, side = scale * FACTOR, side * FACTOR
    return scales


def detect(
    nets: Nets, frames: Sequence[np.ndarray], min_face: int, thresholds: Sequence[float], device: torch.device
) -> list[Faces]:
    """Every face of each RGB uint8 frame (H, W, 3), of one size, in px of that frame."""
    height, width = frames[0].shape[:2]
    scales = pyramid(height, width, min_face)
    if not scales:
        return [_NO_FACES] * len(frames)
    means = AreaMeans.of(frames, device)
    boxes, owner = _propose(nets.propose, means, scales, thresholds[0])
    boxes, owner = _refine(nets.refine, means, boxes, owner, thresholds[1])
    return _confirm(nets.output, means, boxes, owner, thresholds[2])


def _propose(net: Net, means: AreaMeans, scales: Sequence[float], threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """First stage: square boxes (N, 4) and the image (N,) of each."""
    levels = [_propose_level(net, means, scale, threshold) for scale in scales]
    boxes, scores, offsets, owner = (np.concatenate(parts) for parts in zip(*levels, strict=True))
    keep = suppress(boxes, scores, owner, OVERLAP)
    boxes, offsets, owner = boxes[keep], offsets[keep], owner[keep]
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)  # (N, 4), here without the +1 that later stages have
    return _square(boxes + offsets * sides), owner


def _propose_level(net: Net, means: AreaMeans, scale: float, threshold: float) -> tuple[np.ndarray, ...]:
    """Boxes (N, 4), scores (N,), offsets (N, 4) and owners (N,) of the cells that may hold a face at one scale."""
    offsets, probabilities = net(means.resized(*(int(side * scale + 1) for side in means.size)))
    image, row, column = (probabilities[:, 1] >= threshold).nonzero(as_tuple=True)  # (N,) each
    scores, chosen = probabilities[image, 1, row, column].cpu().numpy(), offsets[image, :, row, column].cpu().numpy()
    cell = torch.stack([column, row], dim=1).cpu().numpy().astype(np.float32) * STRIDE  # (N, 2) x y px of the level
    boxes = np.hstack([np.floor((cell + 1) / scale), np.floor((cell + CELL) / scale)])
    owner = image.cpu().numpy()
    keep = suppress(boxes, scores, owner, LEVEL_OVERLAP)
    return boxes[keep], scores[keep], chosen[keep], owner[keep]


def _refine(
    net: Net, means: AreaMeans, boxes: np.ndarray, owner: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Second stage: fewer, better square boxes."""
    boxes, owner, (offsets, probabilities) = _seen(net, means, boxes, owner, REFINE_SIZE, (4, 2))
    sure = probabilities[:, 1] > threshold
    boxes, scores, offsets, owner = boxes[sure], probabilities[sure, 1], offsets[sure], owner[sure]
    keep = suppress(boxes, scores, owner, OVERLAP)
    return _square(_shift(boxes[keep], offsets[keep])), owner[keep]


def _confirm(net: Net, means: AreaMeans, boxes: np.ndarray, owner: np.ndarray, threshold: float) -> list[Faces]:
    """Third stage: boxes with landmarks."""
    boxes, owner, (offsets, points, probabilities) = _seen(net, means, boxes, owner, OUTPUT_SIZE, (4, 10, 2))
    sure = probabilities[:, 1] > threshold
    boxes, scores, owner = boxes[sure], probabilities[sure, 1], owner[sure]
    relative = points[sure].reshape(-1, 2, 5).transpose(0, 2, 1)  # (N, 5, 2): the net gives five x, then five y
    sides = (boxes[:, 2:] - boxes[:, :2] + 1)[:, None]
    landmarks = sides * relative + boxes[:, None, :2] - 1
    boxes = _shift(boxes, offsets[sure])
    keep = suppress(boxes, scores, owner, OVERLAP, of_smaller=True)
    mine = [keep[owner[keep] == image] for image in range(means.frames)]
    return [Faces(boxes[chosen], scores[chosen], landmarks[chosen]) for chosen in mine]


def _seen(
    net: Net, means: AreaMeans, boxes: np.ndarray, owner: np.ndarray, side: int, outputs: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """The boxes that meet their image, the owner of each, and the net's outputs (N, ...) of what they hold."""
    corners = boxes.astype(np.int64)  # towards 0; px count from 1 there
    start = np.maximum(corners[:, :2], 1) - 1
    end = np.minimum(corners[:, 2:], means.size[::-1])
    inside = np.flatnonzero((start < end).all(axis=1))
    found = [[np.zeros((0, width), np.float32)] for width in outputs]
    for first in range(0, len(inside), _CROPS_AT_ONCE):
        part = inside[first : first + _CROPS_AT_ONCE]
        for output, of_part in zip(found, net(means.crops(owner[part], start[part], end[part], side)), strict=True):
            output.append(of_part.cpu().numpy())
    return boxes[inside], owner[inside], [np.concatenate(parts) for parts in found]


def suppress(
    boxes: np.ndarray, scores: np.ndarray, owner: np.ndarray, limit: float, of_smaller: bool = False
) -> np.ndarray:
    """Greedy non-maximum suppression within each image: indices of the boxes (N, 4) that stay, image by image.

    From the best score (N,) down, the earlier box first among equals, a box goes if its overlap with one that stays
    exceeds the limit: intersection over union, as in torchvision/csrc/ops/cpu/nms_kernel.cpp; or, where it is
    `of_smaller`, over the area of the smaller, so that a face within a face goes, with the +1 of pixel counting.
    """
    order = np.lexsort((-scores, owner))
    parts = np.split(order, np.flatnonzero(np.diff(owner[order])) + 1)
    return np.concatenate([_suppress_one(boxes, part, limit, of_smaller) for part in parts])


def _suppress_one(boxes: np.ndarray, remaining: np.ndarray, limit: float, of_smaller: bool) -> np.ndarray:
    """Of the boxes of one image, `remaining` in the order of their scores, those that stay."""
    kept = [remaining[:0]]
    while remaining.size:
        rivals = min(remaining.size, _RIVALS_AT_ONCE)
        beaten = _overlap(boxes[remaining[:rivals]], boxes[remaining], of_smaller) > limit  # (rivals, remaining)
        stays = np.ones(remaining.size, bool)
        for rival in range(rivals):
            if stays[rival]:
                stays[rival + 1 :] &= ~beaten[rival, rival + 1 :]
        kept.append(remaining[:rivals][stays[:rivals]])
        remaining = remaining[rivals:][stays[rivals:]]
    return np.concatenate(kept)


def _overlap(these: np.ndarray, those: np.ndarray, of_smaller: bool) -> np.ndarray:
    """(N, M) of boxes (N, 4) and (M, 4); see suppress."""
    x1, y1, x2, y2 = these[:, None].transpose(2, 0, 1)
    u1, v1, u2, v2 = those.T
    more = 1 if of_smaller else 0
    area, other = (x2 - x1 + more) * (y2 - y1 + more), (u2 - u1 + more) * (v2 - v1 + more)
    width = np.maximum(0, np.minimum(x2, u2) - np.maximum(x1, u1) + more)
    shared = width * np.maximum(0, np.minimum(y2, v2) - np.maximum(y1, v1) + more)
    with np.errstate(invalid="ignore", divide="ignore"):  # empty boxes: 0 / 0 is above no limit, so both stay
        ratio = shared / (np.minimum(area, other) if of_smaller else area + other - shared)
    shares: np.ndarray = ratio.astype(np.float64)  # as the limit is
    return shares


def _shift(boxes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Move each corner by its offset, in units of the box's sides."""
    shifted: np.ndarray = boxes + offsets * np.tile(boxes[:, 2:] - boxes[:, :2] + 1, 2)
    return shifted


def _square(boxes: np.ndarray) -> np.ndarray:
    """Widen the shorter side about the centre."""
    sides = boxes[:, 2:] - boxes[:, :2]
    side = sides.max(axis=1, keepdims=True)
    start = boxes[:, :2] + sides * np.float32(0.5) - side * np.float32(0.5)
    return np.hstack([start, start + side])
