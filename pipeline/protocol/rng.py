"""Random choices that depend on the seed and on names, never on the order in which they are made.

The digest is made here and not by pipeline.files: it decides the protocol, so it is in a file that dvc.yaml names.
"""

import hashlib

import numpy as np


def named_rng(seed: int, *names: str) -> np.random.Generator:
    """A generator for each list, so that asking for another list changes none of the others."""
    return np.random.default_rng(int.from_bytes(_digest(seed, *names)[:16], "big"))


def rank_key(seed: int, *names: str) -> str:
    """A key to sort by in random order; adding a name leaves the order of the others as it was."""
    return _digest(seed, *names).hex()


def _digest(seed: int, *names: str) -> bytes:
    return hashlib.sha256("\0".join([str(seed), *names]).encode()).digest()
