"""From a face at rest to points in front of the camera: action units, hair, head turn, projection."""

from dataclasses import dataclass

import numpy as np

from tools.corpus.conditions import Camera
from tools.corpus.normals import vertex_normals
from tools.corpus.person import Person
from tools.corpus.topology import HAIR, LASHES, LEFT_EYE, RIGHT_EYE, SKIN, TEETH, TONGUE, Topology

CAMERA_DISTANCE = 15.0  # dm
_CAMERA_HEIGHT = 7.12  # dm
_NECK = np.array([0, 6.15, 0.35])  # where the head turns
_BODY_FOLLOWS = 0.35  # share of the head's rest yaw that the shoulders take


@dataclass(frozen=True)
class Act:
    """What a face does in one frame: action units by name in 0..1, and turn of the head in radians."""

    units: dict[str, float]
    yaw: float
    pitch: float
    roll: float


REST = Act({}, 0.0, 0.0, 0.0)


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Roll after pitch after yaw  # (3, 3)."""
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    nod = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    tilt = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return tilt @ nod @ turn


def _act_out(person: Person, act: Act, topology: Topology, lift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and normals, the scalp's included, before the head turns  # (V, 3) (V, 3)."""
    skin = person.vertices.copy()
    for unit, amount in act.units.items():
        if amount:
            skin += topology.head.targets[unit] * (amount * person.scale)
    vertices = np.concatenate([skin, skin[topology.scalp]])
    body = vertex_normals(skin, topology.triangles_of(SKIN))
    normals = np.concatenate([body, body[topology.scalp]])
    inner = topology.vertices_of(TEETH, TONGUE)
    vertices[inner] = vertices[inner] * [0.72, 1, 1] - [0, 0, 0.07]  # the base mesh's jaws are wider than its mouth
    vertices[len(skin) :] += normals[len(skin) :] * lift[:, None]
    for part in (LEFT_EYE, RIGHT_EYE, TEETH, TONGUE, HAIR):
        members = topology.vertices_of(part)
        normals[members] = vertex_normals(vertices, topology.triangles_of(part))[members]
    normals[topology.vertices_of(LASHES)] = [0, 0, 1]
    return vertices, normals


def _head_share(vertices: np.ndarray, topology: Topology) -> np.ndarray:
    """How much each vertex follows the head rather than the shoulders  # (V, 1)."""
    share = np.clip((vertices[:, 1] - 5.55) / 0.95, 0, 1)
    share = share * share * (3 - 2 * share)
    hanging = topology.vertices_of(HAIR)
    share[hanging] = np.clip((vertices[hanging, 1] - 5.2) / 1.6, 0, 1)
    return share[:, None]


def pose(
    person: Person, act: Act, camera: Camera, topology: Topology, lift: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and unit normals of a person in one frame  # (V, 3) dm, (V, 3)."""
    vertices, normals = _act_out(person, act, topology, lift)
    head = rotation(camera.yaw + act.yaw, camera.pitch + act.pitch, camera.roll + act.roll)
    body = rotation(camera.yaw * _BODY_FOLLOWS, 0, 0)
    share = _head_share(vertices, topology)
    placed = share * ((vertices - _NECK) @ head.T) + (1 - share) * ((vertices - _NECK) @ body.T) + _NECK
    turned = share * (normals @ head.T) + (1 - share) * (normals @ body.T)
    return placed, turned / (np.linalg.norm(turned, axis=1, keepdims=True) + 1e-9)


def camera_place(camera: Camera) -> np.ndarray:
    """Where the camera stands  # (3,) dm."""
    return np.array([camera.x, _CAMERA_HEIGHT + camera.y, CAMERA_DISTANCE])


def project(placed: np.ndarray, camera: Camera, side: int) -> np.ndarray:
    """Pixel x, pixel y and nearness (1 / dm) of each vertex in a picture of `side` px  # (V, 3)."""
    place = camera_place(camera)
    depth = CAMERA_DISTANCE - placed[:, 2]
    scale = side * CAMERA_DISTANCE / camera.field / depth
    x = side / 2 + (placed[:, 0] - place[0]) * scale
    y = side / 2 - (placed[:, 1] - place[1]) * scale
    return np.stack([x, y, 1 / depth], axis=1)


def face_box(points: np.ndarray, topology: Topology) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the face's vertices, forehead to chin, in whole px."""
    face = points[topology.face, :2]
    left, top = np.floor(face.min(axis=0)).astype(int)
    right, bottom = np.ceil(face.max(axis=0)).astype(int)
    return int(left), int(top), int(right), int(bottom)
