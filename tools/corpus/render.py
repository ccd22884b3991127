"""One frame: pose, rasterise, light, develop."""

from dataclasses import dataclass

import cv2
import numpy as np

from tools.corpus.complexion import linear
from tools.corpus.conditions import Backdrop, Camera, Conditions, Light, draw_conditions
from tools.corpus.hair import comb
from tools.corpus.look import Look, draw_look
from tools.corpus.person import Person
from tools.corpus.pose import CAMERA_DISTANCE, Act, camera_place, pose, project
from tools.corpus.raster import rasterise
from tools.corpus.shading import Shot, Surface, paint
from tools.corpus.textures import Textures
from tools.corpus.topology import SCALP, SKIN, Topology

_SUPERSAMPLING = 1.5
_SHADOW_SIDE = 256  # texels
_SHADOW_SPAN = 4.2  # dm
_SHADOW_CENTRE = np.array([0, 7.1, 0.6])
_SHADOW_OFFSET = 30.0  # dm, keeps depths positive
_OCCLUSION = ((0.012, 9.0), (0.045, 2.6))  # (radius as a share of the picture, strength per dm)


@dataclass(frozen=True)
class Studio:
    """What rendering needs of the whole corpus, and the picture's side in px."""

    topology: Topology
    textures: Textures
    side: int


@dataclass(frozen=True)
class Scene:
    """One person in one clip, ready to be shown act by act."""

    person: Person
    conditions: Conditions
    look: Look
    presence: np.ndarray
    lift: np.ndarray
    backdrop: np.ndarray  # (S, S, 3) linear RGB, at the size that is rasterised


def set_scene(person: Person, clip: int, studio: Studio) -> Scene:
    """Draw the clip's conditions and dress the person for it."""
    conditions = draw_conditions(person.seed, person.number, clip)
    look = draw_look(person.seed, person.number, person.latents, person.complexion, conditions)
    presence, lift = comb(studio.topology, person.hairstyle, conditions, person.latents.female)
    backdrop = draw_backdrop(conditions.backdrop, int(studio.side * _SUPERSAMPLING))
    return Scene(person, conditions, look, presence, lift, backdrop)


def draw_backdrop(backdrop: Backdrop, side: int) -> np.ndarray:
    """Linear RGB backdrop  # (S, S, 3)."""
    y, x = np.mgrid[0:side, 0:side] / side
    share = np.cos(backdrop.direction) * (x - 0.5) + np.sin(backdrop.direction) * (y - 0.5) + 0.5
    if backdrop.kind == 1:
        share = np.hypot(x - 0.5, y - 0.4) * 1.3
    colour = backdrop.near * (1 - share[..., None]) + backdrop.far * share[..., None]
    if backdrop.kind == 2:
        clouds = cv2.resize(backdrop.clouds.astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
        colour = colour * (1 + 0.15 * clouds[..., None])
    return linear(np.clip(colour, 0, 255))


def _open_sky(nearness: np.ndarray) -> np.ndarray:
    """Ambient share by depth alone: a pixel behind its neighbours' mean gets less  # (S, S)."""
    backdrop = CAMERA_DISTANCE + 1.0
    depth = np.where(nearness > 0, 1 / np.maximum(nearness, 1e-6), backdrop).astype(np.float32)
    share = np.ones_like(depth)
    for radius, strength in _OCCLUSION:
        width = 2 * (int(len(depth) * radius) | 1) + 1
        around = cv2.blur(np.minimum(depth, CAMERA_DISTANCE + 0.5), (width, width))
        share -= np.clip((depth - around - 0.003) * strength, 0, 0.45)
    return cv2.blur(np.clip(share, 0.25, 1), (3, 3)).astype(float)


def _shadow_map(placed: np.ndarray, light: Light, scene: Scene, studio: Studio) -> tuple[np.ndarray, np.ndarray]:
    """Depth towards the key light of the nearest surface, and the axes that look it up  # (M, M) (4, 3)."""
    right = np.cross([0, 1, 0], light.key)
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(light.key, right), light.key, np.zeros(3)])
    scale = _SHADOW_SIDE / _SHADOW_SPAN
    middle = axes[:2] @ _SHADOW_CENTRE * scale
    axes[3] = [_SHADOW_SIDE / 2 - middle[0], _SHADOW_SIDE / 2 + middle[1], scale]
    x, y, depth = (placed @ axes[:3].T).T
    points = np.stack([axes[3, 0] + x * scale, axes[3, 1] - y * scale, depth + _SHADOW_OFFSET], axis=1)
    casting = np.isin(studio.topology.parts, (SKIN, SCALP))
    nearest, _, _ = rasterise(
        points,
        studio.topology.triangles[casting],
        studio.topology.parts[casting],
        scene.presence,
        studio.topology.strands,
        studio.textures.strands,
        _SHADOW_SIDE,
    )
    return nearest - _SHADOW_OFFSET, axes


def _shot(placed: np.ndarray, scene: Scene, studio: Studio) -> Shot:
    light, camera = scene.conditions.light, scene.conditions.camera
    depths, axes = _shadow_map(placed, light, scene, studio)
    gaze = np.array([-0.5 * camera.yaw, 0, 1])
    lamps = np.stack([light.key, light.key_colour, light.fill, light.fill_colour, light.sky, light.ground])
    return Shot(lamps, camera_place(camera), gaze / np.linalg.norm(gaze), depths, axes, light.shadow)


def _develop(picture: np.ndarray, camera: Camera, side: int, rng: np.random.Generator) -> np.ndarray:
    """Expose, shrink, roll off highlights, apply gamma and sensor noise  # (S, S, 3) uint8."""
    picture = cv2.resize(
        picture * (0.92 * camera.exposure * camera.balance), (side, side), interpolation=cv2.INTER_AREA
    )
    picture = np.where(picture > 0.7, 0.7 + 0.3 * np.tanh((picture - 0.7) / 0.3), picture)
    picture = np.clip(picture, 0, 1) ** (1 / 2.2) * 255
    return np.clip(picture + camera.noise * rng.standard_normal(picture.shape), 0, 255).astype(np.uint8)


def render(scene: Scene, act: Act, studio: Studio, rng: np.random.Generator) -> np.ndarray:
    """One frame, RGB  # (S, S, 3) uint8."""
    topology, textures, camera = studio.topology, studio.textures, scene.conditions.camera
    fine = len(scene.backdrop)
    placed, normals = pose(scene.person, act, camera, topology, scene.lift)
    nearness, shown, weights = rasterise(
        project(placed, camera, fine),
        topology.triangles,
        topology.parts,
        scene.presence,
        topology.strands,
        textures.strands,
        fine,
    )
    surface = Surface(
        topology.triangles,
        topology.parts,
        topology.rest,
        topology.strands,
        placed,
        normals,
        np.stack(topology.eyes),
        textures.clouds,
        textures.speckle,
        textures.strands,
    )
    picture = scene.backdrop.copy()
    paint(shown, weights, _open_sky(nearness), surface, scene.look, _shot(placed, scene, studio), picture)
    return _develop(picture, camera, studio.side, rng)
