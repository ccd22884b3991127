"""What is asked of every set of weights before it is used or written."""

from collections.abc import Mapping

import torch
from torch import Tensor


def not_finite(state: Mapping[str, Tensor]) -> str | None:
    """Name of the first tensor with a value that is not finite, or None."""
    return next((name for name, value in state.items() if not bool(torch.isfinite(value).all())), None)
