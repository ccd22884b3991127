"""The rasteriser against a plain loop (needs numba, of tools/corpus/requirements.txt)."""

import numpy as np
import pytest

pytest.importorskip("numba", reason="the rasteriser needs tools/corpus/requirements.txt")

from tools.corpus.raster import rasterise
from tools.corpus.sampling import sample, step
from tools.corpus.streams import stream
from tools.corpus.topology import SCALP, SKIN

SIDE = 24
FLAT = np.zeros((8, 8), np.float32)


def _draw(points: np.ndarray, triangles: list[list[int]], parts: list[int], presence: np.ndarray) -> tuple:
    strands = np.zeros((len(points), 2))
    return rasterise(points, np.array(triangles, np.int32), np.array(parts, np.int32), presence, strands, FLAT, SIDE)


def _inside(pixel: np.ndarray, corners: np.ndarray) -> bool:
    turns = []
    for k in range(3):
        edge, to = corners[(k + 1) % 3] - corners[k], pixel - corners[k]
        turns.append(edge[0] * to[1] - edge[1] * to[0])
    return min(turns) >= 0 or max(turns) <= 0


def test_coverage_matches_a_point_in_triangle_loop() -> None:
    rng = stream(0, "test raster")
    for _ in range(10):
        points = np.concatenate([rng.uniform(-4, SIDE + 4, (3, 2)), np.ones((3, 1))], axis=1)
        _, shown, _ = _draw(points, [[0, 1, 2]], [SKIN], np.ones(3))
        for y in range(SIDE):
            for x in range(SIDE):
                assert (shown[y, x] == 0) == _inside(np.array([x + 0.5, y + 0.5]), points[:, :2])


def test_the_nearer_triangle_shows() -> None:
    square = np.array([[0, 0], [2 * SIDE, 0], [0, 2 * SIDE]], float)
    points = np.concatenate([np.c_[square, np.full(3, 0.1)], np.c_[square, np.full(3, 0.2)]])
    nearness, shown, _ = _draw(points, [[3, 4, 5], [0, 1, 2]], [SKIN, SKIN], np.ones(6))
    assert (shown == 0).all()
    np.testing.assert_allclose(nearness, 0.2)


def test_weights_bring_back_the_place_in_perspective() -> None:
    points = np.array([[1.0, 2, 0.05], [22, 3, 0.2], [5, 21, 0.1]])
    depth = 1 / points[:, 2]
    nearness, shown, weights = _draw(points, [[0, 1, 2]], [SKIN], np.ones(3))
    rows, columns = np.nonzero(shown == 0)
    u, v = weights[rows, columns].T
    found = u * depth[0] + v * depth[1] + (1 - u - v) * depth[2]
    np.testing.assert_allclose(found, 1 / nearness[rows, columns], rtol=1e-9)


def test_hair_shows_only_where_it_is_present() -> None:
    points = np.array([[0.0, 0, 1], [2 * SIDE, 0, 1], [0, 2 * SIDE, 1]])
    _, gone, _ = _draw(points, [[0, 1, 2]], [SCALP], np.zeros(3))
    _, there, _ = _draw(points, [[0, 1, 2]], [SCALP], np.ones(3))
    assert (gone == -1).all()
    assert (there == 0).all()


def test_sampling_wraps_and_interpolates() -> None:
    texture = np.arange(16, dtype=np.float32).reshape(4, 4)
    assert sample(texture, 1.0, 2.0) == 9
    assert sample(texture, 1.5, 2.0) == 9.5
    assert sample(texture, -1.0, 6.0) == texture[2, 3]
    assert sample(texture, 3.5, 0.0) == (3 + 0) / 2


def test_step_is_flat_outside_and_half_in_the_middle() -> None:
    assert (step(0.0, 1.0, -5.0), step(0.0, 1.0, 0.5), step(0.0, 1.0, 9.0)) == (0, 0.5, 1)
    assert step(1.0, 0.0, 2.0) == 0
