"""One person of the corpus: latents, and everything of the face that stays from clip to clip."""

from dataclasses import dataclass

import numpy as np

from tools.corpus.complexion import Complexion, draw_complexion
from tools.corpus.hair import Hairstyle, draw_hairstyle
from tools.corpus.latents import Latents, draw_latents
from tools.corpus.shape import shape_head
from tools.corpus.topology import Topology


@dataclass(frozen=True)
class Person:
    """`number` counts from 1; vertices (N, 3) in dm, `scale` what brought the head to the mean head's height."""

    seed: int
    number: int
    latents: Latents
    complexion: Complexion
    hairstyle: Hairstyle
    vertices: np.ndarray
    scale: float

    @property
    def name(self) -> str:
        return f"id{self.number:04d}"


def make_person(seed: int, number: int, topology: Topology) -> Person:
    """Draw a person."""
    latents = draw_latents(seed, number)
    complexion = draw_complexion(seed, number, latents)
    hairstyle = draw_hairstyle(seed, number, latents, complexion)
    vertices, scale = shape_head(seed, number, latents, topology)
    return Person(seed, number, latents, complexion, hairstyle, vertices, scale)
