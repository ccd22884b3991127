"""The planted association: how much of what steers a voice is read off the face's own latents."""

from dataclasses import dataclass

import numpy as np

from tools.corpus.errors import SettingsError
from tools.corpus.latents import DRIVERS, Latents, draw_latents, driver_scores

# A voice's stranger is drawn from this far away in the person numbers, so that no person of the corpus is one.
_STRANGER = 1_000_000_000


@dataclass(frozen=True)
class Association:
    """Strength of each driver in 0..1: 1 follows the face, 0 follows a stranger of the same gender."""

    age: float
    size: float
    s1: float
    s2: float

    def __post_init__(self) -> None:
        for name in DRIVERS:
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f"association {name} = {getattr(self, name)} is outside 0..1")

    def scaled(self, strength: float) -> "Association":
        """Every strength times `strength`."""
        return Association(*(strength * getattr(self, name) for name in DRIVERS))


def voice_drivers(seed: int, person: int, latents: Latents, association: Association) -> np.ndarray:
    """What the voice follows, in the order of DRIVERS  # (4,).

    A blend of unit variance, a * face + sqrt(1 - a^2) * stranger, so that voices spread equally at any strength.
    Ancestry, complexion and region enter nowhere.
    """
    own = driver_scores(latents)
    stranger = driver_scores(draw_latents(seed, _STRANGER + person))
    strength = np.array([getattr(association, name) for name in DRIVERS])
    return strength * own + np.sqrt(1 - strength**2) * stranger
