"""Small kernels that every other kernel leans on, and how kernels are compiled."""

import math

import numba
import numpy as np

kernel = numba.njit(cache=True, fastmath=True)  # of every kernel: pixels may differ in a last digit between machines


@kernel
def sample(texture: np.ndarray, x: float, y: float) -> float:
    """Bilinear look-up in a tileable square texture, in texels; its side is a power of two, so that masking wraps."""
    mask = texture.shape[0] - 1
    left, top = math.floor(x), math.floor(y)
    right_share, low_share = x - left, y - top
    column, row = int(left) & mask, int(top) & mask
    next_column, next_row = (column + 1) & mask, (row + 1) & mask
    upper = texture[row, column] * (1 - right_share) + texture[row, next_column] * right_share
    lower = texture[next_row, column] * (1 - right_share) + texture[next_row, next_column] * right_share
    return upper * (1 - low_share) + lower * low_share


@kernel
def step(start: float, end: float, value: float) -> float:
    """Smooth step from 0 at `start` to 1 at `end`."""
    share = min(1.0, max(0.0, (value - start) / (end - start)))
    return share * share * (3 - 2 * share)


@kernel
def bump(value: float, centre: float, width: float) -> float:
    """Gaussian hill of height one."""
    return math.exp(-(((value - centre) / width) ** 2))


@kernel
def unit(x: float, y: float, z: float) -> tuple[float, float, float]:
    """The vector at length one."""
    scale = 1 / math.sqrt(x * x + y * y + z * z + 1e-12)
    return x * scale, y * scale, z * scale


@kernel
def mix(
    under: tuple[float, float, float], over: tuple[float, float, float], share: float
) -> tuple[float, float, float]:
    """Linear blend of two colours."""
    keep = 1 - share
    return under[0] * keep + over[0] * share, under[1] * keep + over[1] * share, under[2] * keep + over[2] * share


@kernel
def dim(colour: tuple[float, float, float], red: float, green: float, blue: float) -> tuple[float, float, float]:
    """The colour with each channel scaled."""
    return colour[0] * red, colour[1] * green, colour[2] * blue
