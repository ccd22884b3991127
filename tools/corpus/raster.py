"""Which triangle each pixel shows: a depth-buffered rasteriser with alpha-tested hair."""

import numpy as np

from tools.corpus.sampling import kernel, sample
from tools.corpus.topology import HAIR, LASHES, SCALP

_INSIDE = -1e-6  # barycentric tolerance that closes the seams between triangles


@kernel
def _bounds(a: float, b: float, c: float, limit: int) -> tuple[int, int]:
    """First and last pixel of an extent, within 0..limit-1."""
    return max(0, int(min(a, b, c))), min(limit - 1, int(max(a, b, c)) + 1)


@kernel
def _hair_absent(part, w0, w1, w2, corners, presence, strands, texture):
    """Whether the strands leave a gap here: presence, roughened by the strand texture, is under a half."""
    a, b, c = corners
    here = w0 * presence[a] + w1 * presence[b] + w2 * presence[c]
    across = w0 * strands[a, 0] + w1 * strands[b, 0] + w2 * strands[c, 0]
    along = w0 * strands[a, 1] + w1 * strands[b, 1] + w2 * strands[c, 1]
    rough = 0.10 if part == SCALP else 0.2
    return here + rough * sample(texture, across, along) < 0.5


@kernel
def _fill(t, corners, points, part, presence, strands, texture, nearness, shown, weights):
    """Draw one triangle where it is nearer than what is there."""
    (x0, y0, n0), (x1, y1, n1), (x2, y2, n2) = points[corners[0]], points[corners[1]], points[corners[2]]
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    if abs(area) < 1e-9:
        return
    left, right = _bounds(x0, x1, x2, nearness.shape[1])
    top, bottom = _bounds(y0, y1, y2, nearness.shape[0])
    strandy = part in (LASHES, SCALP, HAIR)
    for y in range(top, bottom + 1):
        for x in range(left, right + 1):
            px, py = x + 0.5, y + 0.5
            w0 = ((x1 - px) * (y2 - py) - (x2 - px) * (y1 - py)) / area
            w1 = ((x2 - px) * (y0 - py) - (x0 - px) * (y2 - py)) / area
            w2 = 1 - w0 - w1
            if w0 < _INSIDE or w1 < _INSIDE or w2 < _INSIDE:
                continue
            near = w0 * n0 + w1 * n1 + w2 * n2
            if near <= nearness[y, x]:
                continue
            if strandy and _hair_absent(part, w0, w1, w2, corners, presence, strands, texture):
                continue
            nearness[y, x] = near
            shown[y, x] = t
            weights[y, x, 0] = w0 * n0 / near  # perspective-correct
            weights[y, x, 1] = w1 * n1 / near


@kernel
def _fill_all(points, triangles, parts, presence, strands, texture, nearness, shown, weights):
    for t in range(len(triangles)):
        corners = (triangles[t, 0], triangles[t, 1], triangles[t, 2])
        part = parts[t]
        most = max(presence[corners[0]], presence[corners[1]], presence[corners[2]])
        if part in (SCALP, HAIR) and most <= 0.02:
            continue
        _fill(t, corners, points, part, presence, strands, texture, nearness, shown, weights)


def rasterise(
    points: np.ndarray,
    triangles: np.ndarray,
    parts: np.ndarray,
    presence: np.ndarray,
    strands: np.ndarray,
    texture: np.ndarray,
    side: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearness, triangle (-1 for none) and two barycentric weights of each pixel of a square picture.

    points (V, 3): x, y in px and nearness, any positive number that grows towards the camera (1 / depth for
    perspective). Gives (S, S) float64, (S, S) int32, (S, S, 2) float64.
    """
    nearness = np.zeros((side, side))
    shown = np.full((side, side), -1, np.int32)
    weights = np.zeros((side, side, 2))
    _fill_all(points, triangles, parts, presence, strands, texture, nearness, shown, weights)
    return nearness, shown, weights
