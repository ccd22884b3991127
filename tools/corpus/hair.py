"""Hair as geometry: how far the scalp's copy lifts off the skin, and where hair is there at all."""

from dataclasses import dataclass

import numpy as np

from tools.corpus.complexion import Complexion
from tools.corpus.conditions import Conditions
from tools.corpus.latents import Latents
from tools.corpus.streams import stream
from tools.corpus.topology import HAIR, LASHES, Topology, hairline_height

CROPPED, SHORT, MEDIUM, LONG = range(4)
_ODDS = {True: (0.03, 0.17, 0.27, 0.53), False: (0.20, 0.55, 0.22, 0.03)}  # by `female`
_NO_LENGTH = 9.0  # dm, above every hair vertex


@dataclass(frozen=True)
class Hairstyle:
    """Lengths in dm; `end` is the height where long hair stops."""

    style: int
    thickness: float
    front: float
    side: float
    end: float
    bald: bool
    wave: float


def draw_hairstyle(seed: int, person: int, latents: Latents, complexion: Complexion) -> Hairstyle:
    """A style by gender, receding with age in men."""
    rng = stream(seed, "hair", person)
    style = int(rng.choice(4, p=_ODDS[latents.female]))
    cropped, lift, front, fringe, side, end, wave = rng.random(7)
    if complexion.grey > 0.6 and not latents.female and cropped < 0.4:
        style = CROPPED
    receding = 0 if latents.female else 0.10 * float(np.clip((latents.years - 38) / 36, 0, 1))
    return Hairstyle(
        style=style,
        thickness=(0.02, 0.07 + 0.06 * lift, 0.13 + 0.08 * lift, 0.09 + 0.08 * lift)[style],
        front=0.2 * (front - 0.5) - 0.02 + receding - (0.6 * (fringe - 0.65) if fringe > 0.65 and style else 0),
        side=-0.25 * side if not latents.female or style > SHORT else 0.0,
        end=5.3 + 1.3 * end if style == LONG else _NO_LENGTH,
        bald=style == CROPPED and cropped < 0.3,
        wave=2 * np.pi * wave,
    )


def _long_hair(topology: Topology, end: float) -> tuple[np.ndarray, np.ndarray]:
    """Vertices of hanging hair and their presence: beside and behind the face, down to `end`."""
    hanging = topology.vertices_of(HAIR)
    x, y, z = topology.rest[hanging].T
    beside = ((np.abs(x) > 0.55) & (z < 1.1)) | (z < 0.55)  # nothing hangs before the face
    return hanging, beside * np.clip((y - end) / 0.25 + 0.5, 0, 1)


def _lash_presence(topology: Topology, female: bool) -> tuple[np.ndarray, np.ndarray]:
    """Lash vertices and their presence, fading outwards, sooner in men."""
    lashes = topology.vertices_of(LASHES)
    points = topology.rest[lashes]
    eyes = np.where(points[:, :1] * topology.eyes[0][0] > 0, topology.eyes[0], topology.eyes[1])
    distance = np.linalg.norm(points - eyes, axis=1)
    reach = (distance - distance.min()) / np.ptp(distance)
    return lashes, np.clip(1 - (1.0 if female else 1.6) * reach, 0, 1)


def comb(topology: Topology, hairstyle: Hairstyle, clip: Conditions, female: bool) -> tuple[np.ndarray, np.ndarray]:
    """Presence of hair and lashes at every vertex, and how far each scalp vertex lifts off (dm)  # (V,) (S,)."""
    presence = np.zeros(len(topology.rest))
    crown = topology.rest[-len(topology.scalp) :]
    height = hairline_height(crown, hairstyle.front + clip.hairline, hairstyle.side)
    presence[-len(topology.scalp) :] = np.clip(0.5 + height * 0.55, 0, 1.2)
    if hairstyle.style == CROPPED:
        presence[-len(topology.scalp) :] = 0 if hairstyle.bald else np.clip(0.5 + height * 0.55, 0, 0.78)
    lift = hairstyle.thickness * clip.hair_volume * np.clip(height + 0.4, 0, 1.6) / 1.6
    if hairstyle.style != CROPPED:
        lift = lift * (1 + 0.25 * np.sin(9 * crown[:, 0] + hairstyle.wave))
    if hairstyle.style == LONG:
        hanging, there = _long_hair(topology, hairstyle.end + clip.hair_length)
        presence[hanging] = there
    lashes, fading = _lash_presence(topology, female)
    presence[lashes] = fading
    return presence, lift + 0.004
