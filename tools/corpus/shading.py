"""Colour of every pixel that shows a triangle: material, then light."""

from typing import NamedTuple

import numpy as np

from tools.corpus.feature_kernels import bearded, browed, eye_colour, hair_colour, lipped, tooth_colour
from tools.corpus.light_kernels import lit_share, shade
from tools.corpus.sampling import kernel, sample, step, unit
from tools.corpus.skin_kernels import clothed, collar_height, flushed, lidded, marked, mottled, wrinkled
from tools.corpus.topology import HAIR, LASHES, LEFT_EYE, MOUTH, RIGHT_EYE, SCALP, SKIN, SOCKET, TEETH, TONGUE

_SKIN_WRAP, _HAIR_WRAP, _PLAIN_WRAP = (0.45, 0.22, 0.15), (0.2, 0.2, 0.2), (0.1, 0.1, 0.1)


class Surface(NamedTuple):
    """Triangles and what is known at their corners; see Topology for the first four."""

    triangles: np.ndarray  # (F, 3)
    parts: np.ndarray  # (F,)
    rest: np.ndarray  # (V, 3) dm
    strands: np.ndarray  # (V, 2)
    placed: np.ndarray  # (V, 3) dm, in front of the camera
    normals: np.ndarray  # (V, 3)
    eyes: np.ndarray  # (2, 3) dm, at rest
    clouds: np.ndarray
    speckle: np.ndarray
    strand_texture: np.ndarray


class Shot(NamedTuple):
    """Everything about light and camera that shading reads."""

    lamps: np.ndarray  # (6, 3), see light_kernels.shade
    camera: np.ndarray  # (3,) dm
    gaze: np.ndarray  # (3,) unit
    depths: np.ndarray  # (M, M) shadow map
    axes: np.ndarray  # (4, 3) world to shadow map
    shadow: float


@kernel
def _between(rows, a, b, c, u, v):
    """Value at barycentric weights u, v, 1 - u - v of three rows of three."""
    w = 1 - u - v
    return (
        u * rows[a, 0] + v * rows[b, 0] + w * rows[c, 0],
        u * rows[a, 1] + v * rows[b, 1] + w * rows[c, 1],
        u * rows[a, 2] + v * rows[b, 2] + w * rows[c, 2],
    )


@kernel
def _skin_material(at, look, surface):
    """Colour and finish of the body: cloth below the collar, the face above."""
    _, y, z, _ = at
    colour, coarse = mottled(at, look, surface.clouds, surface.speckle)
    edge = collar_height(at, look)
    if y < edge:
        return clothed(at, look, surface.speckle, coarse, edge), (0.01, 16.0, _PLAIN_WRAP)
    if y <= 6.0 or z <= 0.3:
        return colour, (look.oil, 16.0, _SKIN_WRAP)
    front = step(0.5, 0.9, z)
    colour = lidded(flushed(colour, at, look), at, look)
    colour = marked(wrinkled(colour, at, look, coarse, front), at, look, surface.speckle, front)
    colour, beard = bearded(colour, at, look, surface.speckle, surface.strand_texture, front)
    colour, lip = lipped(colour, at, look, surface.strand_texture)
    colour, brow = browed(colour, at, look, surface.strand_texture)
    highlight = look.oil * (1 - 0.8 * beard) * (1 - lip) + look.lip_gloss * lip
    return colour, (highlight * (1 - brow), 16.0 * (1 - lip) + 35.0 * lip, _SKIN_WRAP)


@kernel
def _inner_material(part, at, look):
    """Colour, finish and openness of what lies inside the mouth and the sockets."""
    if part == TEETH:
        return tooth_colour(at, look), (0.1, 40.0, _PLAIN_WRAP), 0.75
    if part == TONGUE:
        return (0.42, 0.13, 0.13), (0.1, 20.0, _PLAIN_WRAP), 0.6
    if part == MOUTH:
        return (0.20, 0.05, 0.05), (0.0, 20.0, _PLAIN_WRAP), 0.35
    if part == SOCKET:
        return (look.skin[0] * 0.5, look.skin[1] * 0.35, look.skin[2] * 0.35), (0.0, 20.0, _PLAIN_WRAP), 1.0
    return look.lash, (0.0, 20.0, _PLAIN_WRAP), 1.0


@kernel
def _hair_material(a, b, c, u, v, look, surface):
    """Colour and finish of hair, and how far its strands lean the normal aside."""
    w = 1 - u - v
    across = u * surface.strands[a, 0] + v * surface.strands[b, 0] + w * surface.strands[c, 0]
    along = u * surface.strands[a, 1] + v * surface.strands[b, 1] + w * surface.strands[c, 1]
    colour, coarse, fine = hair_colour(across, along, look, surface.strand_texture)
    return colour, (0.07 * max(0.2, 1 + 0.8 * fine), 10.0, _HAIR_WRAP), 0.12 * coarse


@kernel
def _pored(normal, at, look, speckle):
    """The normal of skin, tilted by its pores."""
    x, y, _, _ = at
    dx = sample(speckle, x * 170 + 0.7, y * 170) - sample(speckle, x * 170 - 0.7, y * 170)
    dy = sample(speckle, x * 170, y * 170 + 0.7) - sample(speckle, x * 170, y * 170 - 0.7)
    return unit(normal[0] + 0.018 * dx * look.bump, normal[1] + 0.018 * dy * look.bump, normal[2])


@kernel
def _pixel(t, u, v, open_sky, surface, look, shot):
    """Linear RGB of one pixel."""
    a, b, c = surface.triangles[t, 0], surface.triangles[t, 1], surface.triangles[t, 2]
    part = surface.parts[t]
    x, y, z = _between(surface.rest, a, b, c, u, v)
    at = (x, y, z, abs(x))
    nx, ny, nz = _between(surface.normals, a, b, c, u, v)
    normal = unit(nx, ny, nz)
    place = _between(surface.placed, a, b, c, u, v)
    eye = unit(shot.camera[0] - place[0], shot.camera[1] - place[1], shot.camera[2] - place[2])
    if part in (HAIR, LASHES) and normal[0] * eye[0] + normal[1] * eye[1] + normal[2] * eye[2] < 0:
        normal = (-normal[0], -normal[1], -normal[2])
    if part == SKIN:
        colour, finish = _skin_material(at, look, surface)
        if y > 6.0:
            normal = _pored(normal, at, look, surface.speckle)
    elif part in (LEFT_EYE, RIGHT_EYE):
        centre = surface.eyes[0] if part == LEFT_EYE else surface.eyes[1]
        colour, finish = eye_colour(at, look, centre, shot.gaze, surface.strand_texture), (0.55, 160.0, _PLAIN_WRAP)
        open_sky = min(1.0, open_sky + 0.25)
    elif part in (SCALP, HAIR):
        colour, finish, lean = _hair_material(a, b, c, u, v, look, surface)
        normal = unit(normal[0] + lean, normal[1], normal[2])
    else:
        colour, finish, openness = _inner_material(part, at, look)
        open_sky *= openness
    lit = lit_share(place, shot.depths, shot.axes, shot.shadow)
    return shade(colour, finish, normal, eye, shot.lamps, lit, open_sky)


@kernel
def paint(shown, weights, open_sky, surface, look, shot, picture):
    """Paint over a linear backdrop, in place, wherever a triangle shows.

    shown (S, S), weights (S, S, 2): from rasterise; open_sky (S, S): ambient share; picture (S, S, 3).
    """
    for row in range(shown.shape[0]):
        for column in range(shown.shape[1]):
            if shown[row, column] >= 0:
                u, v = weights[row, column, 0], weights[row, column, 1]
                rgb = _pixel(shown[row, column], u, v, open_sky[row, column], surface, look, shot)
                for channel in range(3):
                    picture[row, column, channel] = rgb[channel]
