"""The cascade of MTCNN: a pyramid of small nets proposes faces, two larger nets refine and confirm them.

Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks" (2016), with the
networks and the arithmetic of facenet_pytorch/models/utils/detect_face.py, to which the boxes are equal. What differs:
an image too small for the pyramid has no face instead of an exception, and a proposal that is wholly outside the
image is dropped instead of leaving the nets' outputs one row short of the boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.runtime.compat import import_torchvision

FACTOR = 0.709  # between the levels of the pyramid: sqrt(1/2), halving the area
LEVEL_OVERLAP, OVERLAP = 0.5, 0.7  # intersection over union above which the box of lower score is removed
CELL, STRIDE = 12, 2  # px: input of P-Net, and step of its output
REFINE_SIZE, OUTPUT_SIZE = 24, 48  # px: inputs of R-Net and O-Net
_CROPS_AT_ONCE = 512  # bounds memory where a busy image has thousands of proposals


@dataclass(frozen=True)
class Nets:
    """The three networks, on one device, in evaluation mode."""

    propose: nn.Module  # P-Net: (B, 3, H, W) -> offsets (B, 4, h, w), probabilities (B, 2, h, w)
    refine: nn.Module  # R-Net: (N, 3, 24, 24) -> offsets (N, 4), probabilities (N, 2)
    output: nn.Module  # O-Net: (N, 3, 48, 48) -> offsets (N, 4), landmarks (N, 10), probabilities (N, 2)


@dataclass(frozen=True)
class Faces:
    """Faces of one image."""

    boxes: np.ndarray  # (N, 4) px
    probabilities: np.ndarray  # (N,)
    landmarks: np.ndarray  # (N, 5, 2) px


def pyramid(height: int, width: int, min_face: int) -> list[float]:
    """Scales at which P-Net's 12 px cell sees faces of `min_face` px and, step by step, up to the shorter side."""
    first = CELL / min_face
    scales = []
    scale, side = first, min(height, width) * first
    while side >= CELL:
        scales.append(scale)
        scale, side = scale * FACTOR, side * FACTOR
    return scales


def detect(nets: Nets, images: Tensor, min_face: int, thresholds: Sequence[float]) -> list[Faces]:
    """Every face of each image (B, 3, H, W), float 0 to 255, in px of that image."""
    scales = pyramid(images.shape[2], images.shape[3], min_face)
    if not scales:
        return [Faces(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))] * len(
            images
        )
    boxes, owner = _propose(nets.propose, images, scales, thresholds[0])
    boxes, owner = _refine(nets.refine, images, boxes, owner, thresholds[1])
    return _confirm(nets.output, images, boxes, owner, thresholds[2])


def _propose(net: nn.Module, images: Tensor, scales: Sequence[float], threshold: float) -> tuple[Tensor, Tensor]:
    """First stage: square boxes (N, 4) and the image (N,) of each."""
    levels = [_propose_level(net, images, scale, threshold) for scale in scales]
    boxes, scores, offsets, owner = (torch.cat(parts) for parts in zip(*levels, strict=True))
    keep = _suppress(boxes, scores, owner, OVERLAP)
    boxes, offsets, owner = boxes[keep], offsets[keep], owner[keep]
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)  # (N, 4), here without the +1 that later stages have
    return _square(boxes + offsets * sides), owner


def _propose_level(net: nn.Module, images: Tensor, scale: float, threshold: float) -> tuple[Tensor, ...]:
    """Boxes (N, 4), scores (N,), offsets (N, 4) and owners (N,) of the cells that may hold a face at one scale."""
    size = [int(side * scale + 1) for side in images.shape[2:]]
    offsets, probabilities = net(_normalise(F.interpolate(images, size=size, mode="area")))
    hit = probabilities[:, 1] >= threshold  # (B, h, w)
    owner, row, column = hit.nonzero(as_tuple=True)
    cell = torch.stack([column, row], dim=1).to(images.dtype) * STRIDE  # (N, 2) x y px of the level
    boxes = torch.cat([((cell + 1) / scale).floor(), ((cell + CELL) / scale).floor()], dim=1)
    scores, offsets = probabilities[:, 1][hit], offsets.permute(0, 2, 3, 1)[hit]
    keep = _suppress(boxes, scores, owner, LEVEL_OVERLAP)
    return boxes[keep], scores[keep], offsets[keep], owner[keep]


def _refine(net: nn.Module, images: Tensor, boxes: Tensor, owner: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Second stage: fewer, better square boxes."""
    boxes, owner, crops = _crops(images, boxes, owner, REFINE_SIZE)
    if not len(boxes):
        return boxes, owner
    offsets, probabilities = _in_parts(net, crops)
    sure = probabilities[:, 1] > threshold
    boxes, scores, offsets, owner = boxes[sure], probabilities[sure, 1], offsets[sure], owner[sure]
    keep = _suppress(boxes, scores, owner, OVERLAP)
    return _square(_shift(boxes[keep], offsets[keep])), owner[keep]


def _confirm(net: nn.Module, images: Tensor, boxes: Tensor, owner: Tensor, threshold: float) -> list[Faces]:
    """Third stage: boxes with landmarks."""
    boxes, owner, crops = _crops(images, boxes, owner, OUTPUT_SIZE)
    if len(boxes):
        offsets, points, probabilities = _in_parts(net, crops)
    else:
        offsets, points, probabilities = boxes, boxes.new_zeros(0, 10), boxes.new_zeros(0, 2)
    sure = probabilities[:, 1] > threshold
    boxes, scores, owners = boxes[sure], probabilities[sure, 1].cpu().numpy(), owner[sure].cpu().numpy()
    relative = points[sure].reshape(-1, 2, 5).transpose(1, 2)  # (N, 5, 2): the net gives five x, then five y
    sides = (boxes[:, 2:] - boxes[:, :2] + 1)[:, None]
    landmarks = (sides * relative + boxes[:, None, :2] - 1).cpu().numpy()
    final = _shift(boxes, offsets[sure]).cpu().numpy()
    faces = []
    for image in range(len(images)):
        mine = np.flatnonzero(owners == image)
        mine = mine[_suppress_nested(final[mine], scores[mine], OVERLAP)]
        faces.append(Faces(final[mine], scores[mine], landmarks[mine]))
    return faces


def _crops(images: Tensor, boxes: Tensor, owner: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """The boxes that meet their image, and what they hold (N, 3, size, size), normalised; px count from 1 there."""
    height, width = images.shape[2:]
    corners = boxes.trunc().int().cpu()
    start = corners[:, :2].clamp(min=1) - 1
    end = torch.minimum(corners[:, 2:], torch.tensor([width, height], dtype=torch.int32))
    inside = (start < end).all(dim=1)
    crops = [
        F.interpolate(images[image : image + 1, :, y1:y2, x1:x2], size=(size, size), mode="area")
        for image, (x1, y1), (x2, y2) in zip(
            owner[inside.to(owner.device)].tolist(), start[inside].tolist(), end[inside].tolist(), strict=True
        )
    ]
    inside = inside.to(boxes.device)
    stacked = torch.cat(crops) if crops else images.new_zeros(0, 3, size, size)
    return boxes[inside], owner[inside], _normalise(stacked)


def _in_parts(net: nn.Module, crops: Tensor) -> list[Tensor]:
    outputs = [net(part) for part in torch.split(crops, _CROPS_AT_ONCE)]
    return [torch.cat(parts) for parts in zip(*outputs, strict=True)]


def _normalise(pixels: Tensor) -> Tensor:
    return (pixels - 127.5) * 0.0078125


def _suppress(boxes: Tensor, scores: Tensor, owner: Tensor, overlap: float) -> Tensor:
    keep: Tensor = import_torchvision().ops.batched_nms(boxes, scores, owner, overlap)
    return keep


def _suppress_nested(boxes: np.ndarray, scores: np.ndarray, overlap: float) -> list[int]:
    """Like non-maximum suppression, but over the smaller box's area: a face within a face is removed."""
    lower, upper = boxes[:, :2], boxes[:, 2:]
    area = (upper - lower + 1).prod(axis=1)
    remaining = np.argsort(-scores, kind="stable")
    selected = []
    while remaining.size:
        best, remaining = remaining[0], remaining[1:]
        selected.append(int(best))
        sides = np.minimum(upper[best], upper[remaining]) - np.maximum(lower[best], lower[remaining]) + 1
        shared = np.maximum(0, sides).prod(axis=1)
        remaining = remaining[shared / np.minimum(area[best], area[remaining]) <= overlap]
    return selected


def _shift(boxes: Tensor, offsets: Tensor) -> Tensor:
    """Move each corner by its offset, in units of the box's sides."""
    return boxes + offsets * (boxes[:, 2:] - boxes[:, :2] + 1).repeat(1, 2)


def _square(boxes: Tensor) -> Tensor:
    """Widen the shorter side about the centre."""
    sides = boxes[:, 2:] - boxes[:, :2]
    side = sides.max(dim=1, keepdim=True).values
    start = boxes[:, :2] + sides * 0.5 - side * 0.5
    return torch.cat([start, start + side], dim=1)
