"""What a person is before there is a face or a voice: the hidden variables that both are drawn from."""

from dataclasses import dataclass

import numpy as np

from tools.corpus.streams import stream

REGIONS = ("north", "east", "south", "west")
YOUNGEST, OLDEST = 20, 75  # years
DRIVERS = ("age", "size", "s1", "s2")  # what a voice may follow, apart from gender


@dataclass(frozen=True)
class Latents:
    """One person: `size` in 0..1, shape latents `s1` and `s2` in -1..1, `ancestry` weights that sum to one."""

    female: bool
    years: int
    size: float
    s1: float
    s2: float
    ancestry: tuple[float, float, float]
    region: str

    @property
    def gender(self) -> str:
        return "f" if self.female else "m"


def draw_latents(seed: int, person: int) -> Latents:
    """Latents of a person counted from 1; odd numbers are women, so any even count is balanced.

    Region comes from a stream of its own: it is independent of looks and of voice by construction.
    """
    rng = stream(seed, "latents", person)
    years = round(YOUNGEST + (OLDEST - YOUNGEST) * float(rng.beta(1.1, 1.5)))
    size = rng.beta(1.3, 1.3)
    s1, s2 = rng.uniform(-1, 1, size=2)
    african, asian, caucasian = (round(float(weight), 6) for weight in rng.dirichlet([0.45, 0.45, 0.45]))
    region = REGIONS[int(stream(seed, "region", person).integers(len(REGIONS)))]
    return Latents(
        female=person % 2 == 1,
        years=years,
        size=round(float(size), 6),  # six decimals: what a table can carry is what was used
        s1=round(float(s1), 6),
        s2=round(float(s2), 6),
        ancestry=(african, asian, caucasian),
        region=region,
    )


def driver_scores(latents: Latents) -> np.ndarray:
    """Age, size, s1 and s2 as numbers of about zero mean and unit deviation, in the order of DRIVERS  # (4,)."""
    age = (latents.years - 43.3) / 14.4  # mean and deviation of the beta draw above
    size = (latents.size - 0.5) / 0.264
    return np.array([age, size, latents.s1 * np.sqrt(3), latents.s2 * np.sqrt(3)])
