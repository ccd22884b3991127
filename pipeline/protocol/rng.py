"""Random choices that depend on the seed and on names, never on the order in which they are made."""

import numpy as np

from pipeline.files import sha256_hex


def named_rng(seed: int, *names: str) -> np.random.Generator:
    """A generator for each list, so that asking for another list changes none of the others."""
    return np.random.default_rng(int(rank_key(seed, *names)[:32], 16))  # 128 bits


def rank_key(seed: int, *names: str) -> str:
    """A key to sort by in random order; adding a name leaves the order of the others as it was."""
    return sha256_hex(seed, *names)
