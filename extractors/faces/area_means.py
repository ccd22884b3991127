"""Pixels of smaller images and of crops as means over rectangles, from summed-area tables of the frames (Crow, 1984).

Any mean costs four look-ups, whatever the rectangle's size, so all levels of a pyramid and all crops come of one pass
over the frame. Rectangles are those of torch's `interpolate(mode="area")`: output pixel i of n covers the input pixels
from floor(i * length / n) to ceil((i + 1) * length / n). Sums are whole numbers and thus exact on any device.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_MEAN, _SCALE = 127.5, 128.0  # of the pixels, as MTCNN's nets were trained


@dataclass(frozen=True)
class AreaMeans:
    """Normalised pixels, about -1 to 1, of frames of one size."""

    tables: Tensor  # (3, B, H + 1, W + 1) int32: sums over what is above and to the left; they may wrap around,
    # which the differences undo as long as a rectangle's own sum fits

    @classmethod
    def of(cls, frames: Sequence[np.ndarray], device: torch.device) -> "AreaMeans":
        """Of RGB uint8 frames (H, W, 3) of one size."""
        if device.type != "cpu":
            return cls(_summed(torch.from_numpy(np.stack(frames)).to(device)))  # pixels are a quarter of their sums
        height, width = frames[0].shape[:2]
        tables = np.empty((3, len(frames), height + 1, width + 1), np.int32)
        for index, frame in enumerate(frames):
            for channel, plane in enumerate(cv2.split(frame)):
                cv2.integral(plane, tables[channel, index])
        return cls(torch.from_numpy(tables))

    @property
    def frames(self) -> int:
        """How many there are."""
        return self.tables.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a frame, px."""
        return self.tables.shape[2] - 1, self.tables.shape[3] - 1

    def resized(self, height: int, width: int) -> Tensor:
        """The frames at another size, (B, 3, height, width)."""
        top, bottom = _edges(self.size[0], height, self.tables.device)  # (height,) each
        left, right = _edges(self.size[1], width, self.tables.device)  # (width,) each
        rows = self.tables.index_select(2, bottom) - self.tables.index_select(2, top)  # (3, B, height, W + 1)
        every = *rows.shape[:3], -1
        sums = rows.gather(3, right.expand(every)) - rows.gather(3, left.expand(every))
        return _normalised(sums, (bottom - top)[:, None] * (right - left))

    def crops(self, owner: np.ndarray, start: np.ndarray, end: np.ndarray, side: int) -> Tensor:
        """What rectangles hold, (N, 3, side, side).

        owner (N,): of which frame; start, end (N, 2): x y of its first px and of the one after its last, within it.
        """
        frames, height, width = self.tables.shape[1:]
        corners = torch.from_numpy(np.column_stack([owner, start, end - start]).astype(np.int64))
        frame, x, y, wide, high = corners.to(self.tables.device).T[..., None]  # (N, 1) each
        first = torch.arange(side, device=self.tables.device)
        top, bottom = y + first * high // side, y - (first + 1) * high.neg() // side  # (N, side): ceil is -floor(-x)
        left, right = x + first * wide // side, x - (first + 1) * wide.neg() // side
        flat = self.tables.reshape(3, frames * height * width)

        def until(row: Tensor, column: Tensor) -> Tensor:
            index = ((frame * height + row) * width)[:, :, None] + column[:, None]  # (N, side, side)
            return flat.gather(1, index.reshape(1, -1).expand(3, -1)).reshape(3, *index.shape)

        sums = until(bottom, right) - until(top, right) - until(bottom, left) + until(top, left)
        return _normalised(sums, (bottom - top)[:, :, None] * (right - left)[:, None])


@lru_cache(maxsize=256)  # a pyramid has some ten levels
def _edges(length: int, cells: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """First px, and the one after the last, of what each of `cells` cells covers of `length` px; (cells,) each."""
    edges = np.arange(cells + 1) * length
    first, after = edges[:-1] // cells, -(-edges[1:] // cells)
    return torch.from_numpy(first).to(device), torch.from_numpy(after).to(device)


def _summed(frames: Tensor) -> Tensor:
    """The tables of frames (B, H, W, 3) uint8, as cv2.integral makes them, many times faster, on a CPU."""
    rows = F.pad(frames.permute(3, 0, 1, 2).int(), (1, 0, 1, 0)).cumsum(2, dtype=torch.int32)
    return rows.cumsum(3, dtype=torch.int32)


def _normalised(sums: Tensor, area: Tensor) -> Tensor:
    """(N, 3, height, width) of sums (3, N, height, width) over rectangles of that area, px."""
    return (sums / (area * _SCALE) - _MEAN / _SCALE).transpose(0, 1).contiguous()
