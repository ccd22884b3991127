"""What never changes from person to person: triangles, the part each belongs to, and where hair grows."""

from dataclasses import dataclass

import numpy as np

from tools.corpus.mesh import Head, load_head
from tools.corpus.textures import Textures

SKIN, LEFT_EYE, RIGHT_EYE, TEETH, TONGUE, LASHES, SCALP, HAIR, MOUTH, SOCKET = range(10)
_PARTS = {
    "body": SKIN,
    "mouth": MOUTH,
    "eye": SOCKET,
    "helper-l-eye": LEFT_EYE,
    "helper-r-eye": RIGHT_EYE,
    "helper-upper-teeth": TEETH,
    "helper-tongue": TONGUE,
    "helper-l-eyelashes-2": LASHES,
    "helper-r-eyelashes-2": LASHES,
    "helper-hair": HAIR,
}
# Hairline: height (dm) against the angle from the front (rad), for hairline shift 0.
_HAIRLINE_ANGLE = (0, 0.45, 0.75, 0.95, 1.15, 1.35, 1.5, 1.75, 2.1, 2.5, 3.14)
_HAIRLINE = np.array([8.0, 8.0, 7.92, 7.7, 7.45, 7.22, 7.2, 7.42, 7.0, 6.72, 6.62])
_FRONT = np.array([1, 1, 0.8, 0, 0, 0, 0, 0, 0, 0, 0])  # how far each point follows the front's shift
_SIDE = np.array([0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0])  # and the sideburns'
_HAIRLINE_SOFTNESS = 0.15  # dm


@dataclass(frozen=True)
class Topology:
    """Triangles over the head's vertices followed by the scalp's, a copy of the skin that hair lifts off."""

    head: Head
    rest: np.ndarray  # (V, 3) dm, the mean head with its scalp copy: where textures are anchored
    triangles: np.ndarray  # (F, 3) int32
    parts: np.ndarray  # (F,) int32
    scalp: np.ndarray  # (S,) skin vertex under each scalp vertex
    strands: np.ndarray  # (V, 2) strand texture coordinates: across, along
    eyes: tuple[np.ndarray, np.ndarray]  # (3,) centres at rest, left then right
    face: np.ndarray  # (K,) vertices whose projection makes the face's box

    def vertices_of(self, *parts: int) -> np.ndarray:
        """Sorted vertices of some parts."""
        return np.unique(self.triangles[np.isin(self.parts, parts)])

    def triangles_of(self, *parts: int) -> np.ndarray:
        """Triangles of some parts  # (f, 3)."""
        return self.triangles[np.isin(self.parts, parts)]


def hairline_height(rest: np.ndarray, front: float = 0.0, side: float = 0.0) -> np.ndarray:
    """How far each point lies above the hairline, in units of its softness  # (V,)."""
    angle = np.arctan2(np.abs(rest[:, 0]), rest[:, 2] - 0.45)
    line = np.interp(angle, _HAIRLINE_ANGLE, _HAIRLINE + front * _FRONT + side * _SIDE)
    beside = (np.abs(rest[:, 0]) > 0.66) & (rest[:, 2] > -0.05)
    ear = beside & (rest[:, 1] < 7.42) & (rest[:, 1] > 6.7)
    return np.where(ear, -0.5, (rest[:, 1] - line) / _HAIRLINE_SOFTNESS)


def _split(quads: np.ndarray) -> np.ndarray:
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def _strands(rest: np.ndarray, lashes: np.ndarray, bare: np.ndarray) -> np.ndarray:
    """Strand coordinates: around the head and down; lashes sit where the strand texture is neutral."""
    across = np.arctan2(rest[:, 0], rest[:, 2] - 0.2) * 40
    strands = np.stack([across, (8.6 - rest[:, 1]) * 30], axis=1)
    strands[lashes] = bare
    return strands


def build_topology(textures: Textures) -> Topology:
    """Assemble triangles of every part, the scalp above a generous hairline included."""
    head = load_head()
    rest = head.vertices
    body = head.quads["body"]
    growing = hairline_height(rest, -0.15, -0.3)[body].max(axis=1) > -1
    growing &= rest[body][:, :, 1].min(axis=1) > 6.3
    scalp = np.unique(body[growing])
    chunks = [(part, _split(head.quads[name])) for name, part in _PARTS.items()]
    chunks.append((SCALP, _split(len(rest) + np.searchsorted(scalp, body[growing]))))
    triangles = np.concatenate([chunk for _, chunk in chunks]).astype(np.int32)
    parts = np.concatenate([np.full(len(chunk), part, np.int32) for part, chunk in chunks])
    anchored = np.concatenate([rest, rest[scalp]])
    lashes = np.unique(triangles[parts == LASHES])
    eyes = tuple(rest[np.unique(head.quads[f"helper-{side}-eye"])].mean(axis=0) for side in "lr")
    skin = np.unique(body)
    x, y, z = rest[skin].T
    face = skin[(y > 6.22) & (y < 8.0) & (np.abs(x) < 0.66) & (z > 0.55)]
    return Topology(
        head, anchored, triangles, parts, scalp, _strands(anchored, lashes, textures.neutral), (eyes[0], eyes[1]), face
    )
