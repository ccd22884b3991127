"""Random streams named by what they are for, so that a new draw in one place moves nothing elsewhere."""

import zlib

import numpy as np


def stream(seed: int, purpose: str, person: int = 0, clip: int = 0) -> np.random.Generator:
    """The generator of one purpose of one person's one clip.

    PCG64 seeded from the four, with CRC-32 for the name (Python's `hash` differs from process to process).
    """
    entropy = [seed, zlib.crc32(purpose.encode("utf-8")), person, clip]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
