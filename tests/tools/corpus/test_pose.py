"""Pose and camera in closed form."""

import numpy as np
import pytest

from tools.corpus.conditions import draw_conditions
from tools.corpus.normals import vertex_normals
from tools.corpus.pose import CAMERA_DISTANCE, project, rotation


def test_rotation_is_orthonormal_and_right_handed() -> None:
    turn = rotation(0.3, -0.2, 0.1)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)


def test_yaw_turns_the_face_to_the_side_and_pitch_down() -> None:
    ahead = np.array([0, 0, 1.0])
    assert (rotation(0.3, 0, 0) @ ahead)[0] == pytest.approx(np.sin(0.3))
    assert (rotation(0, 0.3, 0) @ ahead)[1] == pytest.approx(-np.sin(0.3))


def test_projection_puts_the_optical_axis_in_the_middle_and_nearer_things_larger() -> None:
    camera = draw_conditions(0, 1, 0).camera
    x, y = camera.x, 7.12 + camera.y
    points = project(np.array([[x, y, 0], [x + 1, y, 0], [x + 1, y, 5.0], [x, y + 1, 0]]), camera, 192)
    np.testing.assert_allclose(points[0], [96, 96, 1 / CAMERA_DISTANCE])
    assert points[1, 0] - 96 == pytest.approx(192 / camera.field)
    assert points[2, 0] - 96 == pytest.approx(192 / camera.field * CAMERA_DISTANCE / (CAMERA_DISTANCE - 5))
    assert points[3, 1] < 96


def test_normals_of_a_tetrahedron_point_outwards() -> None:
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    triangles = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    normals = vertex_normals(vertices, triangles)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
    assert ((vertices - vertices.mean(axis=0)) * normals).sum(axis=1).min() > 0


def test_a_vertex_without_triangles_has_no_normal() -> None:
    assert not vertex_normals(np.eye(3), np.zeros((0, 3), int)).any()


def test_conditions_are_the_clips_own_and_repeat() -> None:
    one, again, other = draw_conditions(2, 5, 0), draw_conditions(2, 5, 0), draw_conditions(2, 5, 1)
    assert one.camera.yaw == again.camera.yaw != other.camera.yaw
    np.testing.assert_array_equal(one.cloth, again.cloth)
    assert np.linalg.norm(one.light.key) == pytest.approx(1)
